"""The built-in workloads in PyTorch: a DataLoader, a module and a plain training loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from fwtui import mark
from fwtui.workloads import data, settings, torch_layers, torch_pipeline
from fwtui.workloads.settings import Job

LOSSES = {"mean squared error": nn.MSELoss, "sparse cross-entropy": nn.CrossEntropyLoss}
EVALUATION_BATCH = 1_000


def train(job: Job) -> None:
    """Trains, then evaluates where the workload has test samples."""
    device = torch_pipeline.choose_device(job)
    torch.manual_seed(job.seed)  # for dropout
    mark.stage("loading data")
    samples = data.load(job.workload, job.data)
    batches = torch_pipeline.Batches(job, samples, device, channels_first=True)
    print(f"data: {samples.source}, device: {device}")
    mark.stage("building the model")
    layout = torch.channels_last if job.options.get("layout") == "nhwc" else torch.contiguous_format
    model = torch_layers.build_model(job.workload, job.seed).to(device, memory_format=layout)
    cast = torch.bfloat16 if job.precision == "bf16" else None
    if cast:
        model = model.to(cast)
    forward = _forward(job, model, device)
    optimizer = make_optimizer(job, model)
    callback = settings.callback(job)
    settings.tell(job)

    plan, checked = job.plan, job.checked_steps
    first_losses: list[torch.Tensor] = []
    model.train()
    with mark.finishable():
        for epoch in range(plan.epochs):
            steps = plan.steps_per_epoch if epoch < plan.full_epochs else plan.rest
            first = epoch * plan.steps_per_epoch
            for inputs, targets in batches.stretch(first, first + steps):
                inputs = inputs.to(device, cast, non_blocking=True)
                targets = targets.to(device, non_blocking=True)
                if layout is torch.channels_last and inputs.ndim == 4:
                    inputs = inputs.contiguous(memory_format=layout)
                optimizer.zero_grad()
                loss = forward(inputs, targets)
                loss.backward()
                optimizer.step()
                if callback:
                    callback()
                if len(first_losses) < checked:
                    first_losses.append(loss.detach())
                    if len(first_losses) == checked:
                        settings.report_losses(torch.stack(first_losses).tolist())
                if job.print_losses:
                    print(f"step loss {loss.item():.9g}")
            print(settings.epoch_line(epoch, plan, loss.item()))

    if samples.test_x is not None and not job.print_losses:
        with mark.evaluation():
            test_loss, accuracy = evaluate(job, model, samples, device)
        settings.report_test(test_loss, accuracy)


def _forward(job: Job, model: nn.Module, device: torch.device) -> Callable[[Any, Any], torch.Tensor]:
    """From a batch to its loss, penalties included."""
    step_model = torch.compile(model) if job.options.get("compile") else model
    loss_function = LOSSES[job.workload.loss]()
    l1, l2 = settings.penalties(job.workload)
    kernels = torch_layers.kernels(model)
    mixed = job.precision == "mixed_bf16"
    arithmetic = torch.autocast(device.type, torch.bfloat16) if mixed else contextlib.nullcontext()

    def forward(inputs: Any, targets: Any) -> torch.Tensor:
        with arithmetic:
            outputs = step_model(inputs)
        loss: torch.Tensor = loss_function(outputs.float(), targets)
        if l1:
            loss = loss + l1 * sum(kernel.abs().sum() for kernel in kernels)
        if l2:
            loss = loss + l2 * sum(kernel.square().sum() for kernel in kernels)
        return loss

    return forward


def make_optimizer(job: Job, model: nn.Module) -> torch.optim.Optimizer:
    """The workload's optimizer over all parameters; those that are frozen get no gradient."""
    chosen = settings.optimizer_settings(job.workload)
    how = job.options.get("optimizer_impl")
    options: dict[str, Any] = {} if how is None else {"foreach": how == "foreach"}
    if how == "fused":
        options["fused"] = True
    if chosen.name == "SGD":
        return torch.optim.SGD(model.parameters(), chosen.learning_rate, chosen.momentum, **options)
    if chosen.name == "AdamW":
        options["weight_decay"] = chosen.weight_decay
    kind = torch.optim.AdamW if chosen.name == "AdamW" else torch.optim.Adam
    betas = (chosen.beta_1, chosen.beta_2)
    return kind(model.parameters(), lr=chosen.learning_rate, betas=betas, eps=chosen.epsilon, **options)


@torch.no_grad()  # type: ignore[untyped-decorator]
def evaluate(job: Job, model: nn.Module, samples: data.Samples, device: torch.device) -> tuple[float, float]:
    """Mean loss and accuracy over the test samples."""
    model.eval()
    inputs, labels = torch.from_numpy(samples.test_x), torch.from_numpy(samples.test_y)
    if inputs.ndim == 4:
        inputs = inputs.permute(0, 3, 1, 2)
    if job.precision == "bf16":
        inputs = inputs.to(torch.bfloat16)
    loss_function = LOSSES[job.workload.loss]()
    loss_sum, right = 0.0, 0
    for batch, targets in zip(inputs.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH)):  # noqa: B905
        logits, targets = model(batch.to(device)).float(), targets.to(device)
        loss_sum += loss_function(logits, targets).item() * len(targets)
        right += int((logits.argmax(dim=1) == targets).sum())
    return loss_sum / len(labels), right / len(labels)
