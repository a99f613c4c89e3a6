"""The built-in workloads in PyTorch: a DataLoader, a module and a plain training loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from fwtui import mark
from fwtui.workloads import data, settings, torch_pipeline
from fwtui.workloads.catalogue import Workload
from fwtui.workloads.settings import ADAM, Job

LOSSES = {"mean squared error": nn.MSELoss, "sparse cross-entropy": nn.CrossEntropyLoss}
EVALUATION_BATCH = 1_000


def train(job: Job) -> None:
    """Trains, then evaluates where the workload has test samples."""
    device = torch_pipeline.choose_device(job.device)
    mark.stage("loading data")
    samples = data.load(job.workload, job.data)
    print(f"data: {samples.source}, device: {device}")
    mark.stage("building the model")
    model = build_model(job.workload, job.seed).to(device)
    step_model = torch.compile(model) if job.options.get("compile") else model
    loss_function = LOSSES[job.workload.loss]()
    optimizer = torch.optim.Adam(
        model.parameters(), lr=ADAM.learning_rate, betas=(ADAM.beta_1, ADAM.beta_2), eps=ADAM.epsilon
    )
    sampler = EpochSampler(len(samples.train_x), job.seed)
    workers = int(job.options.get("workers", 0))
    loader = DataLoader(
        TensorDataset(torch.from_numpy(samples.train_x), torch.from_numpy(samples.train_y)),
        batch_size=job.plan.batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )

    model.train()
    with mark.finishable():
        for epoch in range(job.plan.epochs):
            sampler.set_epoch(epoch)
            steps = job.plan.steps_per_epoch if epoch < job.plan.full_epochs else job.plan.rest
            for inputs, targets in itertools.islice(loader, steps):
                inputs = inputs.to(device, non_blocking=True)
                targets = targets.to(device, non_blocking=True)
                optimizer.zero_grad()
                loss = loss_function(step_model(inputs), targets)
                loss.backward()
                optimizer.step()
                if job.print_losses:
                    print(f"step loss {loss.item():.9g}")
            print(settings.epoch_line(epoch, job.plan, loss.item()))

    if samples.test_x is not None:
        with mark.evaluation():
            test_loss, accuracy = evaluate(model, loss_function, samples, device)
        settings.report_test(test_loss, accuracy)


def build_model(workload: Workload, seed: int) -> nn.Sequential:
    """Linear layers with ReLU between them, holding the weights that all lanes start from."""
    layers: list[nn.Module] = []
    for kernel, bias in settings.initial_weights(workload, seed):
        linear = nn.Linear(*kernel.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(kernel.T))
            linear.bias.copy_(torch.from_numpy(bias))
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class EpochSampler(Sampler[int]):  # type: ignore[misc]
    """The shared order of samples; like `DistributedSampler`, it is told each epoch's number."""

    def __init__(self, samples: int, seed: int) -> None:
        self._orders = settings.sample_orders(samples, seed)
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is that of `epoch`, counted from 0."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(self._orders[self._epoch % settings.ORDERS].tolist())

    def __len__(self) -> int:
        return int(self._orders.shape[1])


@torch.no_grad()  # type: ignore[untyped-decorator]
def evaluate(
    model: nn.Module, loss_function: nn.Module, samples: data.Samples, device: torch.device
) -> tuple[float, float]:
    """Mean loss and accuracy over the test samples."""
    model.eval()
    inputs, labels = torch.from_numpy(samples.test_x), torch.from_numpy(samples.test_y)
    loss_sum, right = 0.0, 0
    for batch, targets in zip(inputs.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH)):  # noqa: B905
        logits, targets = model(batch.to(device)), targets.to(device)
        loss_sum += loss_function(logits, targets).item() * len(targets)
        right += int((logits.argmax(dim=1) == targets).sum())
    return loss_sum / len(labels), right / len(labels)
