"""Hugging Face's Trainer on a tiny local BERT, with evaluation after each epoch."""

import tempfile

import report
import torch
import transformers


class Clock(transformers.TrainerCallback):
    def on_train_begin(self, *_, **__):
        report.start()


transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
transformers.set_seed(0)
config = transformers.BertConfig(
    vocab_size=100,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=32,
    num_labels=2,
)
model = transformers.BertForSequenceClassification(config)
rows = [
    {"input_ids": torch.randint(0, 100, (16,)), "attention_mask": torch.ones(16, dtype=torch.long), "labels": i % 2}
    for i in range(160)
]
with tempfile.TemporaryDirectory() as folder:
    arguments = transformers.TrainingArguments(
        folder,
        num_train_epochs=2,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
    )
    trainer = transformers.Trainer(model, arguments, train_dataset=rows, eval_dataset=rows[:32])
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(Clock())
    trainer.train()
    report.end(trainer.state.global_step, [p.detach().numpy() for p in model.parameters()])
