"""MNIST through Keras's own loader, which keeps it where every lane then finds it."""

from __future__ import annotations

import keras

from fwtui.workloads.settings import WorkloadError


def fetch_mnist() -> None:
    """Lets Keras download `mnist.npz` into its cache."""
    try:
        keras.datasets.mnist.load_data()
    except Exception as error:  # a failed download is a bare Exception in Keras, raised from urllib's OSError
        if not isinstance(error, OSError) and not isinstance(error.__context__, OSError):
            raise
        raise WorkloadError(f"Keras could not download MNIST ({error}): take --data digits, which is offline") from None
