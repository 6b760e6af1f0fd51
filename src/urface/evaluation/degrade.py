"""The degradations that a test set is put through, the same for every model that is judged."""

from __future__ import annotations

import hashlib

import numpy as np

from urface.data.decode import resize_image
from urface.variations.lowres import gaussian_blur, shrink
from urface.variations.occlusion import occlude

SIZE = 112  # kernels and pixels below are meant at this size
BLUR_KERNELS = (11, 21)
PIXELS = (10, 24)
BLOCKS = (12, 24)
GRID = 7

WHAT = (
    f"each face has one of three things done to it, drawn by its name: a Gaussian blur (kernel "
    f"{BLUR_KERNELS[0]} to {BLUR_KERNELS[1]} at {SIZE} pixels), shrinking to {PIXELS[0]} to {PIXELS[1]} "
    f"pixels a side, or {BLOCKS[0]} to {BLOCKS[1]} of {GRID * GRID} blocks in black"
)


def degrade(image: np.ndarray, key: str, seed: int = 0) -> np.ndarray:
    """``image`` [H, W, 3] uint8 at SIZE x SIZE, degraded as its ``key`` and the ``seed`` say.

    A pure function of its arguments: every model is judged on the same pixels, whatever the order.
    """
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    random = np.random.Generator(np.random.Philox(int.from_bytes(digest[:8], "little")))
    image = resize_image(image, SIZE)
    kind = random.integers(3)
    if kind == 0:
        low, high = BLUR_KERNELS
        return gaussian_blur(image, low + 2 * int(random.integers((high - low) // 2 + 1)))
    if kind == 1:
        return shrink(image, int(random.integers(PIXELS[0], PIXELS[1] + 1)))
    count = int(random.integers(BLOCKS[0], BLOCKS[1] + 1))
    return occlude(image, GRID, random.permutation(GRID * GRID)[:count])
