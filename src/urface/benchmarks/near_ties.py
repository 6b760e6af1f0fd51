"""Scores so near to a mate's that rounding alone may have put them before or behind it."""

from __future__ import annotations

import numpy as np
from numba import njit

from urface.benchmarks.score import PairScorer

CLOSE_AT_ONCE = 1 << 20  # scores that are computed anew together


def settle(
    scores: np.ndarray,
    rounding: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
    mates: tuple[np.ndarray, np.ndarray, np.ndarray],
    exact: PairScorer,
) -> None:
    """Replace scores that rounding alone may have put before or behind a mate by those of ``exact``."""
    probes, entries = places
    # A row may be all close ones, and rows are taken whole.
    close = np.empty((2, max(CLOSE_AT_ONCE, scores.shape[1])), np.int64)
    row = 0
    while row < len(scores):
        row, count = _close(scores, rounding, *mates, row, close)
        if count:
            q, g = close[:, :count]
            scores[q, g] = exact(probes[q], entries[g])


@njit(cache=True, nogil=True)
def last_reached(mate: np.ndarray, low: int, high: int, score: float) -> int:
    """The last of the rising mates low to high - 1 that ``score`` reaches; the first is reached."""
    while high - low > 1:
        middle = (low + high) // 2
        if score >= mate[middle]:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _close(
    scores: np.ndarray,
    rounding: np.ndarray,
    start: np.ndarray,
    known: np.ndarray,
    mate: np.ndarray,
    first: int,
    close: np.ndarray,
) -> tuple[int, int]:
    """Write rows and columns of scores within ``rounding`` of a mate of their probe, row ``first`` on.

    The row to go on from, for no row is taken that ``close`` might not hold, and how many were written.
    """
    count = 0
    for q in range(first, scores.shape[0]):
        if count + scores.shape[1] > close.shape[1]:
            return q, count
        low, high, reach = start[q], known[q], rounding[q]
        if low == high:
            continue
        for g in range(scores.shape[1]):
            score = scores[q, g]
            above = score + reach
            if above >= mate[low] and score - reach <= mate[last_reached(mate, low, high, above)]:
                close[0, count], close[1, count] = q, g
                count += 1
    return scores.shape[0], count
