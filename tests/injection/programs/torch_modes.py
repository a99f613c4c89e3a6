"""A PyTorch loop whose batches come in two lengths, short and long sequences: no step of either kind is a fault."""

import torch
from torch import nn

torch.manual_seed(0)
short, long = torch.randn(32, 16, 64), torch.randn(32, 128, 64)
target = torch.randint(0, 10, (32,))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.GRU(64, 96, batch_first=True)
        self.head = nn.Linear(96, 10)

    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])


model = Model()
optimizer = torch.optim.Adam(model.parameters())
for step in range(102):
    batch = long if step % 7 in (3, 5) else short
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(batch), target).backward()
    optimizer.step()
