"""One of two PyTorch lanes that differ in what argv names."""

import sys

import torch
from torch import nn

WHAT = sys.argv[1]
torch.manual_seed(0)
dtype = torch.float64 if WHAT == "double" else torch.float32
batch = 64 if WHAT == "small-batch" else 128
if WHAT.startswith(("nchw", "nhwc")):
    blocks = [] if WHAT.endswith("-norm") else [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
    for _ in range(2):
        if WHAT.endswith("-norm"):
            blocks += [nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)]
        else:
            blocks += [nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.Conv2d(32, 32, 1), nn.ReLU()]
    model = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    x = torch.randn(16 * 10, 32, 24, 24)
    batch = 16
    if WHAT.startswith("nhwc"):
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
elif WHAT in ("eager", "compiled"):
    layers = [layer for _ in range(40) for layer in (nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64))]
    model, x = nn.Sequential(nn.Linear(256, 64), *layers, nn.Linear(64, 10)), torch.randn(batch * 10, 256)
else:
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    x = torch.randn(batch * 10, 256)
model, x = model.to(dtype), x.to(dtype)
y = torch.randint(0, 10, (len(x),))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
step_model = torch.compile(model) if WHAT == "compiled" else model
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=batch)
steps = 0
while steps < 80:
    for inputs, targets in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(step_model(inputs), targets).backward()
        optimizer.step()
        steps += 1
