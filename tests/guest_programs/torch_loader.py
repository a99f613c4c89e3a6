"""A plain PyTorch loop with its own clock around the training: DataLoader, evaluation between epochs."""

import sys
import time

import torch

workers = int(sys.argv[1]) if len(sys.argv) > 1 else 0


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, y = torch.randn(640, 100), torch.randn(640, 1)
    data = torch.utils.data.TensorDataset(x, y)
    train = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True, num_workers=workers)
    test = torch.utils.data.DataLoader(data, batch_size=64)
    model = torch.nn.Sequential(torch.nn.Linear(100, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1))
    optimizer = torch.optim.Adam(model.parameters())
    updates, began = 0, time.perf_counter_ns()
    for _ in range(3):
        for a, b in train:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(a), b)
            loss.backward()
            optimizer.step()
            updates += 1
        with torch.no_grad():
            total = sum(torch.nn.functional.mse_loss(model(a), b) for a, b in test)
    print("clock", began, time.perf_counter_ns(), file=sys.stderr)
    print("updates", updates, "loss", float(total).hex())


if __name__ == "__main__":
    main()
