"""A compiled PyTorch step; argv names the one fault that is put in, `none` for the clean twin."""

import sys

import torch
from torch import nn

FAULT = sys.argv[1]
STEPS = 51
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
BACKEND = "inductor" if FAULT == "compile-in-timing" else "aot_eager"


@torch.compile(backend=BACKEND, dynamic=False)
def forward(x, scale):
    hidden = model[1](model[0](x))
    if FAULT == "graph-breaks":
        print(end="")  # LINE graph-breaks
    elif FAULT == "graph-breaks-value":
        scale = scale + float(hidden.mean().item() > 100)  # LINE graph-breaks-value
    return model[4](model[3](model[2](hidden))) * scale


if FAULT == "retracing":
    torch._dynamo.config.cache_size_limit = 1000
    torch._dynamo.config.recompile_limit = 1000
x, y = torch.randn(256, 256), torch.randint(0, 10, (256,))
for step in range(STEPS):
    size = 128
    if FAULT == "retracing":
        size = 64 + step // 3
    optimizer.zero_grad()
    output = forward(x[:size], 1.0)  # LINE retracing
    loss = nn.functional.cross_entropy(output, y[:size])
    loss.backward()
    optimizer.step()
