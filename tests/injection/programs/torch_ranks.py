"""Data-parallel training in two processes, of which the second has the fault that argv names."""

import sys
import time

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, Dataset

FAULT = sys.argv[1]
dist.init_process_group("gloo")
slow = dist.get_rank() == 1
torch.manual_seed(0)
torch.set_num_threads(1)


class Samples(Dataset):
    """Samples that come late on one rank."""

    def __len__(self):
        return 51 * 16

    def __getitem__(self, index):
        if FAULT == "straggler-data" and slow and index % 16 == 0:
            time.sleep(0.015)  # LINE straggler-data
        return torch.full((64,), index / 816.0), torch.tensor([1.0])


def log():
    if FAULT == "straggler-callback" and slow:
        time.sleep(0.015)  # LINE straggler-callback


model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
trained = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), 0.01)
for x, y in DataLoader(Samples(), batch_size=16):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(trained(x), y).backward()
    optimizer.step()
    log()
dist.destroy_process_group()
