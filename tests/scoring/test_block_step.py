"""The step in the registers, against a loop in float64."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from urface.scoring.block_step import ROWS, STRIP, WIDTH, block_step


@njit
def one_step(
    left: np.ndarray,
    strip: np.ndarray,
    depth: int,
    own: np.ndarray,
    others: np.ndarray,
    running: np.ndarray,
    column: int,
) -> None:
    block_step(left, ROWS, strip, 0, depth, own, 0, others, column, running, column)


@pytest.mark.parametrize("depth", [1, 2, 33])
@pytest.mark.parametrize("column", [0, WIDTH - STRIP])
def test_a_step_adds_the_distance_over_the_sum_to_its_own_pairs_alone(
    depth: int, column: int
) -> None:
    random = np.random.default_rng(depth)
    left, strip, own, others, running = (
        random.uniform(0.5, 1.5, shape).astype(np.float32)
        for shape in [
            (depth + 1, ROWS),  # what is before the first number is not looked at
            (depth, STRIP),
            (2, ROWS),
            (2, WIDTH),
            (ROWS, 2, WIDTH),
        ]
    )
    expected = running.astype(np.float64)
    for row in range(ROWS):
        for c in range(STRIP):
            product = sum(float(left[1 + d, row]) * float(strip[d, c]) for d in range(depth))
            distance = 2 + product + float(own[1, row]) + float(others[1, column + c])
            total = float(own[0, row]) + float(others[0, column + c])
            n, p = running[row, :, column + c].astype(float)
            expected[row, :, column + c] = n * total + distance * p, p * total
    one_step(left, strip, depth, own, others, running, column)
    np.testing.assert_allclose(running, expected, rtol=1e-5)
