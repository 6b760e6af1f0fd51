"""Scores of listed pairs of rows: IJB-C names 15.7 million of 23,124 templates.

The same scores as ``cosine_score`` and ``likelihood_score``, but the two rows of a pair are read where
they lie: gathering them first would write 64 GB.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import config, njit

PAIRS_AT_ONCE = 1 << 17  # a thread takes at a time
LARGEST_EXPONENT = 280.0  # a product of sums stays within 10^+-this; float64 ends at 308
REORDER = {
    "reassoc",
    "contract",
}  # lets sums run in vector lanes; NaN and infinity keep their meaning


def cosine_pairs(
    vectors_TKD: np.ndarray, left: np.ndarray, right: np.ndarray, there: np.ndarray
) -> np.ndarray:
    """Mean of the K cosines of P pairs of rows, [P] float32 in -1..1; NaN where a row is not ``there``.

    vectors [T, K, D] float32 of unit length per sub-embedding, left and right [P] rows, there [T] bool.
    """
    rows = np.ascontiguousarray(vectors_TKD, np.float32).reshape(len(vectors_TKD), -1)
    out = np.empty(len(left), np.float32)
    parts = vectors_TKD.shape[1]
    _in_threads(lambda s: _cosine(rows, left[s], right[s], there, parts, out[s]), len(left))
    return out


def likelihood_pairs(
    vectors_TKD: np.ndarray,
    variance: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    there: np.ndarray,
    factors: int | None = None,
) -> np.ndarray:
    """Likelihood scores (equation PA) of P pairs of rows, [P] float32; NaN where a row is not ``there``.

    variance is [T, K] or [T, K, D], above 0 in the rows that are there; the rest as in ``cosine_pairs``.
    ``factors`` is ``sum_factors(variance, there)``, for those who ask often.
    """
    count = len(vectors_TKD)
    spread = np.ascontiguousarray(variance, np.float32).reshape(count, -1)
    # The last axis are values that share a variance: D, or 1.
    shared = vectors_TKD[0].size // max(1, spread.shape[1]) if count else 1
    rows = np.ascontiguousarray(vectors_TKD, np.float32).reshape(count, spread.shape[1], shared)
    out = np.empty(len(left), np.float32)
    group = sum_factors(spread, there) if factors is None else factors
    _in_threads(
        lambda s: _likelihood(rows, spread, left[s], right[s], there, group, out[s]),
        len(left),
    )
    return out


def sum_factors(variance: np.ndarray, there: np.ndarray) -> int:
    """How many sums of two variances may be multiplied before a logarithm is due."""
    spread = variance[there]
    if not spread.size:
        return 1
    sums = (2 * float(spread.min()), 2 * float(spread.max()))
    largest = max(abs(math.log10(value)) for value in sums)
    return max(1, min(64, int(LARGEST_EXPONENT / max(largest, 1e-9))))


def threads() -> int:
    """How many threads kernels may use: NUMBA_NUM_THREADS, by default all cores."""
    return max(1, int(config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]


def _in_threads(work: Callable[[slice], None], count: int) -> None:
    slices = [slice(i, i + PAIRS_AT_ONCE) for i in range(0, count, PAIRS_AT_ONCE)]
    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(work, slices))


@njit(cache=True, nogil=True, fastmath=REORDER)
def _cosine(
    rows: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    there: np.ndarray,
    parts: int,
    out: np.ndarray,
) -> None:
    width = rows.shape[1]
    for pair in range(len(left)):
        i, j = left[pair], right[pair]
        if not (there[i] and there[j]):
            out[pair] = np.nan
            continue
        total = np.float32(0.0)
        for d in range(width):
            total += rows[i, d] * rows[j, d]
        out[pair] = total / np.float32(parts)


@njit(cache=True, nogil=True, fastmath=REORDER, error_model="numpy")
def one_likelihood(
    a: np.ndarray,
    a_spread: np.ndarray,
    i: int,
    b: np.ndarray,
    b_spread: np.ndarray,
    j: int,
    group: int,
) -> float:
    """The score of rows ``a[i]`` and ``b[j]``, [factors, width]: ``width`` values share a variance, and the
    logarithm is taken of ``group`` factors at a time. In three dimensions, whose indices count from 0: of a
    sum that might be negative LLVM makes no vector."""
    factors, width = a.shape[1:]
    score = 0.0
    for first in range(0, factors, group):
        product = 1.0
        for k in range(first, min(first + group, factors)):
            # Differences before squares: 2 - 2 cos loses all digits for two nearly equal faces.
            distance = np.float32(0.0)
            for d in range(width):
                difference = a[i, k, d] - b[j, k, d]
                distance += difference * difference
            total = np.float64(a_spread[i, k]) + np.float64(b_spread[j, k])
            score += distance / total
            product *= total
        score += width * math.log(product)
    return -0.5 * score


@njit(cache=True, nogil=True, fastmath=REORDER, error_model="numpy")
def _likelihood(
    rows: np.ndarray,
    spread: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    there: np.ndarray,
    group: int,
    out: np.ndarray,
) -> None:
    for pair in range(len(left)):
        i, j = left[pair], right[pair]
        if there[i] and there[j]:
            out[pair] = one_likelihood(rows, spread, i, rows, spread, j, group)
        else:
            out[pair] = np.nan
