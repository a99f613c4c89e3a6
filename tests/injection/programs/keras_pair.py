"""One of two Keras lanes that differ in what argv names; `plain` is the same model in PyTorch itself."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np

WHAT = sys.argv[1]
batch = 64 if WHAT == "small-batch" else 128
width = 64 if WHAT in ("wrapped", "plain") else 512
x = np.random.default_rng(0).normal(size=(batch * 20, 256)).astype("float32")
y = np.random.default_rng(1).integers(0, 10, len(x))


def plain():
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(256, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters(), eps=1e-7)
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    for _ in range(8):
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
            layers.Dense(width, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam" if WHAT == "wrapped" else "sgd", loss=loss)
    model.fit(x, y, batch_size=batch, epochs=8, verbose=0)


plain() if WHAT == "plain" else fit()
