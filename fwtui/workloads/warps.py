"""Scaling an 8x8 image to 28x28 under a small rotation and shift, as one matrix an image is multiplied with.

A warp is linear in the pixels, so a few hundred matrices of shape (784, 64) make any number of images by plain matrix
products, which is some ten times as fast as interpolating each image by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WARPS = 256
SMALL, LARGE = 8, 28
DIGIT_WIDTH = 22
"""Pixels of the large image that the small one covers; MNIST leaves a margin of this size too."""
MAX_ROTATION_DEGREES = 12.0
MAX_SHIFT_PIXELS = 2.0


def random_warps(random: np.random.Generator, count: int = WARPS) -> NDArray[np.float32]:
    """Matrices of shape (count, 784, 64); the first one neither rotates nor shifts."""
    angles = np.radians(random.uniform(-MAX_ROTATION_DEGREES, MAX_ROTATION_DEGREES, count))
    shifts = random.uniform(-MAX_SHIFT_PIXELS, MAX_SHIFT_PIXELS, (count, 2))
    angles[0], shifts[0] = 0, 0
    return np.stack([warp(angle, shift[0], shift[1]) for angle, shift in zip(angles, shifts)])  # noqa: B905


def warp(angle: float, shift_x: float, shift_y: float) -> NDArray[np.float32]:
    """The matrix of shape (784, 64) that rotates by `angle` radians and shifts by large pixels."""
    middle = (LARGE - 1) / 2
    y, x = np.mgrid[:LARGE, :LARGE].reshape(2, -1) - middle
    x, y = x - shift_x, y - shift_y
    scale = SMALL / DIGIT_WIDTH
    source_x = (np.cos(angle) * x + np.sin(angle) * y) * scale + (SMALL - 1) / 2
    source_y = (np.cos(angle) * y - np.sin(angle) * x) * scale + (SMALL - 1) / 2
    places = np.arange(SMALL)
    weights_x = _cubic(source_x[:, None] - places)
    weights_y = _cubic(source_y[:, None] - places)
    return (weights_y[:, :, None] * weights_x[:, None, :]).reshape(LARGE * LARGE, SMALL * SMALL).astype(np.float32)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic convolution with a = -1/2. Source: Keys, IEEE Trans. ASSP 29 (6), 1981, equation 15."""
    d = np.abs(distance)
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d < 1, near, np.where(d < 2, far, 0))
