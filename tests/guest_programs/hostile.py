"""A torch loop in a program that does what programs do to their process: `hostile.py WHAT`."""

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import report
import torch

what = sys.argv[1]


def child():
    print("in the child", sorted(k for k in os.environ if k == "HOME"))


def before():
    if what == "stdin":
        print("stdin", repr(sys.stdin.read()))
    elif what == "chdir":
        os.chdir(tempfile.gettempdir())
    elif what == "fork":
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            os._exit(3)
        print("fork", os.waitpid(pid, 0)[1])
    elif what == "spawn":
        process = multiprocessing.get_context("spawn").Process(target=child)
        process.start()
        process.join()
        print("spawn", process.exitcode)
    elif what == "subprocess":
        print(subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, text=True).stdout)
    elif what == "exec" and "again" not in sys.argv:
        os.execv(sys.executable, [sys.executable, *sys.argv, "again"])
    elif what == "signals":
        signal.signal(signal.SIGTERM, lambda *_: print("got SIGTERM"))
        faulthandler.enable()
        os.kill(os.getpid(), signal.SIGTERM)
    elif what == "excepthook":
        sys.excepthook = lambda kind, error, _: print("my hook", kind.__name__, error)
    elif what == "trace":
        sys.settrace(lambda *_: None)
    elif what == "thread":
        threading.Thread(target=lambda: torch.ones(3).sum().item()).start()


def train():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    data = torch.utils.data.TensorDataset(torch.randn(640, 64), torch.randn(640, 1))
    model = torch.nn.Sequential(torch.nn.Linear(64, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1))
    optimizer = torch.optim.Adam(model.parameters())
    report.start()
    for _ in range(3):
        for a, b in torch.utils.data.DataLoader(data, batch_size=32):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(a), b)
            loss.backward()
            optimizer.step()
    report.end(60, [p.detach().numpy() for p in model.parameters()], loss.detach())


if __name__ == "__main__":
    before()
    if what == "train-in-thread":
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
    else:
        train()
    if what == "exit":
        sys.exit(7)
    if what == "_exit":
        os._exit(8)
    if what == "raise" or what == "excepthook":
        raise RuntimeError("mine")
    if what == "abort":
        time.sleep(0.5)  # what the last tenth of a second did is not written down
        os.kill(os.getpid(), signal.SIGKILL)
