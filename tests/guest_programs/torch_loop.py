"""A plain torch loop in the shapes people write it; prints the number of updates and the exact weights."""

import argparse
import hashlib

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--workers", type=int, default=0)
parser.add_argument("--no-loader", action="store_true")
parser.add_argument("--accumulate", type=int, default=1)
parser.add_argument("--compile", choices=["model", "step"])
parser.add_argument("--lbfgs", action="store_true")
parser.add_argument("--scaler", action="store_true")
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--read-loss", action="store_true")
parser.add_argument("--slow", type=float, default=0)
args = parser.parse_args()

torch.manual_seed(0)
torch.set_num_threads(1)
features, target = torch.randn(192, 20), torch.randn(192, 1)
dataset = torch.utils.data.TensorDataset(features, target)
loader = torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True, num_workers=args.workers)
model = torch.nn.Sequential(torch.nn.Linear(20, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1))
parameters = list(model.parameters())
optimizer = torch.optim.LBFGS(parameters) if args.lbfgs else torch.optim.Adam(parameters, lr=0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=8.0) if args.scaler else None
compute = torch.nn.functional.mse_loss
if args.compile == "model":
    model = torch.compile(model, backend="aot_eager", fullgraph=True)


def step(x, y, index):
    loss = compute(model(x), y) / args.accumulate
    if scaler:
        if index == 2:
            loss = loss * float("inf")
        scaler.scale(loss).backward()
    else:
        loss.backward()
    if (index + 1) % args.accumulate == 0:
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        optimizer.zero_grad()
    return loss


def closure():
    optimizer.zero_grad()
    loss = compute(model(features), target)
    loss.backward()
    return loss


if args.compile == "step":
    step = torch.compile(step, backend="aot_eager")

batches = 0
for _ in range(args.epochs):
    for x, y in [(features[i : i + 32], target[i : i + 32]) for i in range(0, 192, 32)] if args.no_loader else loader:
        loss = optimizer.step(closure) if args.lbfgs else step(x, y, batches)
        batches += 1
        if args.read_loss:
            loss.item()
        if args.slow:
            __import__("time").sleep(args.slow)
digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in parameters)).hexdigest()
print("batches", batches, digest)
if args.compile:
    print("breaks", sum(torch._dynamo.utils.counters["graph_break"].values()))
