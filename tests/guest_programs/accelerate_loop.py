"""A loop prepared by accelerate, with gradient accumulation."""

import report
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

torch.set_num_threads(1)
set_seed(0)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
data = torch.utils.data.TensorDataset(torch.randn(640, 64), torch.randn(640, 1))
loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)
model = torch.nn.Sequential(torch.nn.Linear(64, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1))
optimizer = torch.optim.Adam(model.parameters())
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
updates = 0
report.start()
for _ in range(3):
    for a, b in loader:
        with accelerator.accumulate(model):
            loss = torch.nn.functional.mse_loss(model(a), b)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            updates += accelerator.sync_gradients
report.end(updates, [p.detach().numpy() for p in model.parameters()], loss.detach())
