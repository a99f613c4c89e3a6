"""A PyTorch loop that differs from the plain one in exactly the thing named: what a parity list must tell apart."""

from __future__ import annotations

import sys

import torch
from torch import nn

differs = sys.argv[1] if len(sys.argv) > 1 else "nothing"
torch.manual_seed(0)
if differs == "products":
    torch.set_float32_matmul_precision("medium")
model = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 1))
trained = model
if differs in ("frozen", "frozen-outside"):
    model[0].requires_grad_(False)
    trained = model if differs == "frozen" else model[2]
optimizer = torch.optim.Adam(trained.parameters(), eps=1e-7 if differs == "epsilon" else 1e-8)
losses = {
    "absolute": nn.L1Loss(),
    "square-by-hand": lambda found, wanted: ((found - wanted) ** 2).mean(),
    "sum": nn.MSELoss(reduction="sum"),
    "sum-by-hand": lambda found, wanted: (found - wanted).square().sum(),
}
loss_of = losses.get(differs, nn.MSELoss())
data = torch.utils.data.TensorDataset(torch.randn(96, 20), torch.randn(96, 1))
for batch, wanted in torch.utils.data.DataLoader(data, batch_size=32, shuffle=differs != "order"):
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=differs == "autocast"):
        found = model(batch)
    loss_of(found.float(), wanted).backward()
    optimizer.step()
