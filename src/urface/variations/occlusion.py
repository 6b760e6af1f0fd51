"""Occlusion: blocks of a grid painted black."""

from __future__ import annotations

import numpy as np


def occlude(image: np.ndarray, grid: int, blocks: np.ndarray) -> np.ndarray:
    """A copy of ``image`` [H, W, 3] with the ``blocks`` (numbers 0 to grid^2 - 1, row by row) in black.

    A side that is no multiple of ``grid`` is cut as evenly as whole pixels allow.
    """
    height, width = image.shape[:2]
    keep = np.ones((grid, grid), dtype=bool)
    keep.ravel()[blocks] = False
    rows = np.arange(height) * grid // height
    columns = np.arange(width) * grid // width
    return image * keep[rows[:, None], columns][:, :, None]
