"""A fully sharded model under torchrun, gloo on the CPU; rank 1 makes its batches slowly."""

import sys
import time

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
slow_s = float(sys.argv[1]) if dist.get_rank() == 1 else 0.0
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
optimizer = torch.optim.Adam(model.parameters())


def batches():
    for _ in range(60):
        time.sleep(slow_s)  # LINE
        yield torch.randn(16, 64), torch.randn(16, 1)


for x, y in batches():
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()
dist.destroy_process_group()
