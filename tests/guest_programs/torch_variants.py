"""Plain PyTorch loops in the shapes that people write them: `torch_variants.py CASE`."""

import os
import sys
import tempfile

import report
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

BATCH, BATCHES, EPOCHS = 32, 20, 3


def make():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, y = torch.randn(BATCH * BATCHES, 64), torch.randn(BATCH * BATCHES, 1)
    model = torch.nn.Sequential(torch.nn.Linear(64, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1))
    return x, y, model, torch.optim.Adam(model.parameters())


def weights(*models):
    return [p.detach().numpy() for model in models for p in model.parameters()]


def loader_loop(workers=0, method=None, evaluate=False, checkpoint=False):
    x, y, model, optimizer = make()
    data = torch.utils.data.TensorDataset(x, y)
    train = torch.utils.data.DataLoader(
        data, batch_size=BATCH, shuffle=True, num_workers=workers, multiprocessing_context=method
    )
    test = torch.utils.data.DataLoader(data, batch_size=BATCH)
    report.start()
    for _ in range(EPOCHS):
        for a, b in train:
            optimizer.zero_grad()
            loss = mse_loss(model(a), b)
            loss.backward()
            optimizer.step()
        if evaluate:
            with torch.no_grad():
                for a, b in test:
                    mse_loss(model(a), b).item()
        if checkpoint:
            with tempfile.TemporaryDirectory() as folder:
                torch.save(model.state_dict(), os.path.join(folder, "model.pt"))
    report.end(EPOCHS * BATCHES, weights(model), loss.detach())


def hand_made(evaluate=False, accumulate=1, scaler=None, dtype=None, model_compiled=False):
    x, y, model, optimizer = make()
    run = torch.compile(model, backend="aot_eager") if model_compiled else model
    if model_compiled:
        run(x[:BATCH]).sum().backward()
        optimizer.zero_grad()
    report.start()
    for _ in range(EPOCHS):
        model.train()
        for i in range(BATCHES):
            a, b = x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH]
            with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
                loss = mse_loss(run(a), b) / accumulate
            (scaler.scale(loss) if scaler else loss).backward()
            if (i + 1) % accumulate:
                continue
            if scaler:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
            optimizer.zero_grad()
        if evaluate:
            model.eval()
            with torch.no_grad():
                for _ in range(50):
                    mse_loss(model(x), y).item()
    report.end(EPOCHS * BATCHES // accumulate, weights(model), loss.detach())


def gan(loader):
    x, _, critic, critic_optimizer = make()
    maker = torch.nn.Sequential(torch.nn.Linear(8, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64))
    maker_optimizer = torch.optim.Adam(maker.parameters())
    batches = [(x[i * BATCH : (i + 1) * BATCH],) for i in range(BATCHES)]
    if loader:
        batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=BATCH)
    one, zero = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    report.start()
    for _ in range(EPOCHS):
        for (real,) in batches:
            made = maker(torch.randn(BATCH, 8))
            critic_optimizer.zero_grad()
            loss = binary_cross_entropy_with_logits(critic(real), one)
            loss = loss + binary_cross_entropy_with_logits(critic(made.detach()), zero)
            loss.backward()
            critic_optimizer.step()
            maker_optimizer.zero_grad()
            binary_cross_entropy_with_logits(critic(made), one).backward()
            maker_optimizer.step()
    report.end(EPOCHS * BATCHES, weights(critic, maker), loss.detach())


def lbfgs():
    x, y, model, _ = make()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)

    def closure():
        optimizer.zero_grad()
        loss = mse_loss(model(x), y)
        loss.backward()
        return loss

    report.start()
    for _ in range(EPOCHS * BATCHES):
        loss = optimizer.step(closure)
    report.end(EPOCHS * BATCHES, weights(model), loss.detach())


def compiled_step():
    x, y, model, optimizer = make()

    def step(a, b):
        optimizer.zero_grad()
        loss = mse_loss(model(a), b)
        loss.backward()
        optimizer.step()
        return loss

    step = torch.compile(step, backend="aot_eager")
    step(x[:BATCH], y[:BATCH])
    step(x[:BATCH], y[:BATCH])
    report.start()
    for _ in range(EPOCHS):
        for i in range(BATCHES):
            loss = step(x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH])
    report.end(EPOCHS * BATCHES + 2, weights(model), loss.detach())


def by_hand():
    x, y, model, _ = make()
    report.start()
    for _ in range(EPOCHS * BATCHES):
        a, b = x[:BATCH], y[:BATCH]
        loss = mse_loss(model(a), b)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.01 * p.grad
                p.grad = None
    report.end(EPOCHS * BATCHES, weights(model), loss.detach())


def scaler():
    return torch.amp.GradScaler("cpu", init_scale=8.0)


CASES = {
    "loader": loader_loop,
    "workers": lambda: loader_loop(2, "fork"),
    "spawn": lambda: loader_loop(2, "spawn"),
    "evaluation": lambda: loader_loop(evaluate=True),
    "checkpoints": lambda: loader_loop(checkpoint=True),
    "hand": hand_made,
    "hand-evaluation": lambda: hand_made(evaluate=True),
    "accumulation": lambda: hand_made(accumulate=4),
    "bfloat16": lambda: hand_made(dtype=torch.bfloat16, scaler=scaler()),
    "float16": lambda: hand_made(dtype=torch.float16, scaler=scaler()),
    "compiled-model": lambda: hand_made(model_compiled=True),
    "compiled-step": compiled_step,
    "gan": lambda: gan(loader=False),
    "gan-loader": lambda: gan(loader=True),
    "lbfgs": lbfgs,
    "by-hand": by_hand,
}

if __name__ == "__main__":
    CASES[sys.argv[1]]()
