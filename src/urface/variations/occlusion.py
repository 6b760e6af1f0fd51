"""Occlusion: blocks of a grid painted black."""

from __future__ import annotations

import numpy as np
from numba import njit


def occlude(image: np.ndarray, grid: int, blocks: np.ndarray) -> np.ndarray:
    """A copy of ``image`` [H, W, 3] with the ``blocks`` (numbers 0 to grid^2 - 1, row by row) in black.

    A side that is no multiple of ``grid`` is cut as evenly as whole pixels allow.
    """
    black = image.copy()
    paint(black, grid, blocks)
    return black


@njit(cache=True, nogil=True)
def paint(image: np.ndarray, grid: int, blocks: np.ndarray) -> None:
    """``occlude`` on ``image`` itself."""
    height, width = image.shape[:2]
    for block in blocks:
        row, column = block // grid, block % grid
        # A block begins at the first pixel whose place times grid reaches it.
        for y in range(-(-height * row // grid), -(-height * (row + 1) // grid)):
            for x in range(-(-width * column // grid), -(-width * (column + 1) // grid)):
                image[y, x, 0] = image[y, x, 1] = image[y, x, 2] = 0
