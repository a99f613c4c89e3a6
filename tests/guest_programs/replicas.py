"""Keras on two CPU devices of one process: `mirrored` on TensorFlow, `jax` by keras.distribution."""

import os
import sys

KIND = sys.argv[1]
os.environ["KERAS_BACKEND"] = "jax" if KIND == "jax" else "tensorflow"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

from contextlib import nullcontext

import keras
import numpy as np

scope = nullcontext()
if KIND == "jax":
    devices = keras.distribution.list_devices()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
else:
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()
with scope:
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(128, "relu"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
model.fit(np.random.rand(1920, 64), np.random.rand(1920, 1), batch_size=32, epochs=2, verbose=0)
