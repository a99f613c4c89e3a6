"""Two ranks of a torch loop under a launcher: gradients are averaged by gloo."""

import os

import report
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.parallel.DistributedDataParallel(
    torch.nn.Sequential(torch.nn.Linear(64, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1))
)
optimizer = torch.optim.Adam(model.parameters())
data = torch.utils.data.TensorDataset(torch.randn(640, 64), torch.randn(640, 1))
sampler = torch.utils.data.DistributedSampler(data)
report.start()
for _ in range(3):
    for a, b in torch.utils.data.DataLoader(data, batch_size=16, sampler=sampler):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(a), b)
        loss.backward()
        optimizer.step()
if os.environ["RANK"] == "0":
    report.end(60, [p.detach().numpy() for p in model.parameters()], loss.detach())
dist.destroy_process_group()
