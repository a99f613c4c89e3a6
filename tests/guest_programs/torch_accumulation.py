"""No loader, four backward passes an update: an update is a step."""

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Linear(50, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(30):
    optimizer.zero_grad()
    for _ in range(4):
        loss = (model(torch.randn(16, 50)) ** 2).mean() / 4
        loss.backward()
    optimizer.step()
print("updates", 30, "loss", loss.item().hex())
