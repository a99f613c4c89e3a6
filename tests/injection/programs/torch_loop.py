"""A plain PyTorch loop; argv names the one fault that is put in, `none` for the clean twin."""

import sys
import threading
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

FAULT = sys.argv[1]
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 300 if FAULT in ("logs", "evaluates") else 51
torch.manual_seed(0)


class Images(Dataset):
    """Samples that are made one by one."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        sample = self.x[index]
        if FAULT == "per-sample-transform":
            sample = transform(sample)
        elif FAULT == "input-bound":
            time.sleep(0.0005)  # LINE input-bound
        return sample, self.y[index]


def transform(sample):
    values = sample.tolist()
    for _ in range(10):
        values = [value * 1.01 + 0.001 for value in values]  # LINE per-sample-transform
    return torch.tensor(values)


def read_batch(samples):
    time.sleep(0.0015)  # a batch's worth of reading
    return torch.utils.data.default_collate(samples)


def log(step, loss):
    if FAULT == "slow-callback":
        time.sleep(0.004)  # LINE slow-callback
    elif FAULT == "slow-callback-busy":
        text = ""
        for number in range(40_000):
            text = f"{step} {number}"  # LINE slow-callback-busy
        return text
    elif FAULT == "logs" and step % 100 == 99:
        print(step, float(loss))
    return loss


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        for inputs, targets in DataLoader(TensorDataset(x, y), batch_size=64):
            nn.functional.cross_entropy(model(inputs), targets)  # LINE evaluation-stall
    model.train()


class Cells(nn.Module):
    """A recurrent layer, cell by cell or fused."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(8, 64)  # LINE unfused-kernel
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = x.view(len(x), -1, 8)
        h = c = torch.zeros(len(x), 64)
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
        return self.head(h)


class Tiny(nn.Module):
    """The same network applied to each sample alone."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return torch.stack([self.body(sample) for sample in x])  # LINE dispatch-bound


def main():
    if FAULT == "thread-oversubscription":
        torch.set_num_threads(16)  # LINE thread-oversubscription
    features, batch = 256, 128
    x, y = torch.randn(batch * 40, features), torch.randint(0, 10, (batch * 40,))
    model = nn.Sequential(nn.Linear(features, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    if FAULT == "unfused-kernel":
        model = Cells()
    elif FAULT == "dispatch-bound":
        model = Tiny(nn.Sequential(nn.Linear(features, 16), nn.ReLU(), nn.Linear(16, 10)))
    elif FAULT == "slow-optimizer":
        model = nn.Sequential(nn.Linear(features, 64), *[nn.Linear(64, 64) for _ in range(150)], nn.Linear(64, 10))
        batch = 8
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    if FAULT == "slow-optimizer":
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001)  # LINE slow-optimizer
    made_alone = FAULT in ("per-sample-transform", "input-bound")
    data = Images(x, y) if made_alone else TensorDataset(x, y)
    loader = DataLoader(data, batch_size=batch, num_workers=0)
    if FAULT == "no-prefetch":
        loader = DataLoader(data, batch_size=batch, collate_fn=read_batch)  # LINE no-prefetch
    elif FAULT == "workers":
        loader = DataLoader(data, batch_size=batch, num_workers=1, persistent_workers=True)
    elif FAULT == "worker-startup":
        data = TensorDataset(x[: batch * 6], y[: batch * 6])
        loader = DataLoader(data, batch_size=batch, num_workers=2)  # LINE worker-startup
    kept, step = [], 0
    moments = torch.randn(8_000_000)
    while step < STEPS:
        for inputs, targets in loader:
            optimizer.zero_grad()
            output = model(inputs)
            loss = nn.functional.cross_entropy(output, targets)
            loss.backward()
            optimizer.step()
            log(step, loss)
            if FAULT == "sync-every-step":
                for _ in range(30):
                    inputs.tolist()  # LINE sync-every-step
            elif FAULT == "gc-pause":
                kept.append([[number] for number in range(100)])
                if step % 4 == 0:
                    import gc

                    gc.collect()  # LINE gc-pause
            elif FAULT == "memory-growth":
                kept.append(torch.ones(500_000))  # LINE memory-growth
            elif FAULT == "checkpoint-stall" and step % 8 == 7:
                torch.save([model.state_dict(), moments], "/tmp/injected.pt")  # LINE checkpoint-stall
            elif FAULT == "lane-hung" and step == 40:
                threading.Event().wait()  # LINE lane-hung
            elif FAULT == "lane-crashed" and step == 40:
                raise ValueError("the targets do not fit")  # LINE lane-crashed
            step += 1
            if step >= STEPS:
                break
        if FAULT == "evaluates":
            evaluate(model, x[:256], y[:256])
        if FAULT == "evaluation-stall":
            evaluate(model, torch.cat([x] * 3), torch.cat([y] * 3))
    return kept, np.mean


main()
