"""Data-parallel training in a few processes, of which one can be slow, die or hang. Prints rank 0's exact weights."""

import argparse
import hashlib
import os
import signal
import time

import torch
import torch.distributed as dist

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=120)
parser.add_argument("--slow-rank", type=int, default=-1)
parser.add_argument("--slow-from", type=int, default=0)
parser.add_argument("--slow-s", type=float, default=0.02)
parser.add_argument("--hang-at", type=int, default=-1)
parser.add_argument("--die-at", type=int, default=-1)
parser.add_argument("--plain", action="store_true", help="all-reduce by hand instead of DDP")
args = parser.parse_args()

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
torch.set_num_threads(1)
features, target = torch.randn(512, 32), torch.randn(512, 1)
dataset = torch.utils.data.TensorDataset(features, target)


class Slow(torch.utils.data.Dataset):
    """A dataset whose batches come late on one rank."""

    def __len__(self):
        return args.steps * 16

    def __getitem__(self, index):
        if index % 16 == 0 and rank == args.slow_rank and index // 16 >= args.slow_from:
            time.sleep(args.slow_s)
        return dataset[index % 512]


model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
trained = model if args.plain else torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), 0.01)
for number, (x, y) in enumerate(torch.utils.data.DataLoader(Slow(), batch_size=16)):
    if rank == 1 and number == args.hang_at:
        time.sleep(3600)
    if rank == 1 and number == args.die_at:
        os.kill(os.getpid(), signal.SIGKILL)
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(trained(x), y).backward()
    if args.plain:
        for parameter in model.parameters():
            dist.all_reduce(parameter.grad)
    optimizer.step()
if rank == 0:
    print(hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
dist.destroy_process_group()
