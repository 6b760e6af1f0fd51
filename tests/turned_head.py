"""A head made by hand: a smooth picture with a symmetric mesh that looks ahead."""

from __future__ import annotations

import numpy as np

from urface.variations.head_pose import estimate_pose, mean_face
from urface.variations.pose import HeadView

SIZE, EARS_APART, MIDDLE = 112, 84.0, (55.9, 62.0)


def smooth_picture(seed: int = 0, size: int = SIZE) -> np.ndarray:
    """Waves of some ten pixels: they survive resampling, noise would not."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    waves = np.zeros((size, size, 3))
    for _ in range(6):
        a, b = random.uniform(-12, 12, 2)
        waves += np.sin(a * x + b * y + random.uniform(0, 6))[..., None] * random.uniform(8, 22, 3)
    return np.clip(waves + 128, 0, 255).astype(np.uint8)


def head_of(turn: np.ndarray | None = None) -> HeadView:
    """The mean face, turned by a rotation [3, 3], in the middle of a picture of SIZE pixels."""
    points = mean_face() if turn is None else mean_face() @ turn.T
    mesh = points * EARS_APART * [1, -1, -1] + [*MIDDLE, 0.0]
    return HeadView(mesh, estimate_pose(mesh))
