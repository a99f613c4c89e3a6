"""Keras 2 under MultiWorkerMirroredStrategy: two processes on loopback, started by this program, one of them slow.

Keras 3 does not support this strategy.
"""

import json
import os
import socket
import subprocess
import sys
import time

SLOW_S = float(sys.argv[1])


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


if "TF_CONFIG" not in os.environ:
    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    workers = []
    for index in range(2):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        workers.append(subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, "TF_CONFIG": config}))
    sys.exit(max(worker.wait() for worker in workers))

import numpy as np
import tensorflow as tf
import tf_keras as keras

slow = json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 1
strategy = tf.distribute.MultiWorkerMirroredStrategy()


class Logger(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep(SLOW_S if slow else 0.0)  # LINE


with strategy.scope():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(128, "relu"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
x, y = np.random.rand(1920, 64).astype("float32"), np.random.rand(1920, 1).astype("float32")
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(64).repeat()
model.fit(data, epochs=2, steps_per_epoch=30, verbose=0, callbacks=[Logger()])
