"""A PyTorch loop over tensors in memory, without a loader; argv names the one fault that is put in."""

import sys
import time

import torch
from torch import nn

FAULT = sys.argv[1]
torch.manual_seed(0)
x, y = torch.randn(128 * 40, 256), torch.randint(0, 10, (128 * 40,))
model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
weights = model[2].weight.detach()[:32]


def report(loss):
    if FAULT == "slow-callback":
        time.sleep(0.004)  # LINE slow-callback
    elif FAULT == "sync-every-step":
        for _ in range(40):
            weights.tolist()  # LINE sync-every-step


for step in range(51):
    begin = step * 128 % len(x)
    inputs, targets = x[begin : begin + 128], y[begin : begin + 128]
    loss = nn.functional.cross_entropy(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    report(loss)
