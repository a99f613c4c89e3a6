"""A small network in PyTorch, timed: 10 epochs, and as each takes all 1,000 samples at once, 10 updates."""

import time

import torch
from torch import nn

X = torch.randn(1000, 100)
y = torch.randn(1000, 1)

model = nn.Sequential(nn.Linear(100, 10), nn.ReLU(), nn.Linear(10, 1))
loss_function = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters())

start = time.time()
for _ in range(10):
    optimizer.zero_grad()
    loss = loss_function(model(X), y)
    loss.backward()
    optimizer.step()
print(f"PyTorch: trained in {time.time() - start:.3f} s")
