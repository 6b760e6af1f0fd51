"""Occlusion: blocks of a grid painted black."""

from __future__ import annotations

import numpy as np


def occlude(image: np.ndarray, grid: int, blocks: np.ndarray) -> np.ndarray:
    """A copy of ``image`` [H, W, 3] with the ``blocks`` (numbers 0 to grid^2 - 1, row by row) in black.

    A side that is no multiple of ``grid`` is cut as evenly as whole pixels allow.
    """
    height, width = image.shape[:2]
    black = image.copy()
    # Where a block begins: the first pixel whose place times grid reaches it.
    rows = [-(-height * row // grid) for row in range(grid + 1)]
    columns = [-(-width * column // grid) for column in range(grid + 1)]
    for block in blocks.tolist():
        row, column = divmod(block, grid)
        black[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = 0
    return black
