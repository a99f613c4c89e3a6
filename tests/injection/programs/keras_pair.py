"""One of two Keras lanes that differ in what argv names; `plain` is the same model in PyTorch itself."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np

WHAT = sys.argv[1]
batch = 64 if WHAT == "small-batch" else 128
DEEP = WHAT.endswith("-deep")
width = 64 if WHAT.startswith(("wrapped", "plain")) else 512
more = 5 if DEEP else 1  # hidden layers after the first
x = np.random.default_rng(0).normal(size=(batch * 20, 256)).astype("float32")
y = np.random.default_rng(1).integers(0, 10, len(x))


def plain():
    import torch
    from torch import nn

    hidden = [layer for _ in range(more) for layer in (nn.Linear(width, width), nn.ReLU())]
    model = nn.Sequential(nn.Linear(256, width), nn.ReLU(), *hidden, nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters(), eps=1e-7)
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    for _ in range(4):
        for inputs, targets in torch.utils.data.DataLoader(data, batch_size=batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()


def fit():
    import keras

    if WHAT == "double":
        keras.config.set_floatx("float64")
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((256,)),
            layers.Dense(width, activation="relu"),
            *(layers.Dense(width, activation="relu") for _ in range(more)),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam" if WHAT.startswith("wrapped") else "sgd", loss=loss)
    model.fit(x, y, batch_size=batch, epochs=4, verbose=0)


plain() if WHAT.startswith("plain") else fit()
