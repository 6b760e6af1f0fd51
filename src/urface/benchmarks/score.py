"""Scores of templates: listed pairs, and tiles of a search, by either score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from urface.benchmarks.pool import Pooled
from urface.scoring.pairs import cosine_pairs, likelihood_pairs, sum_factors
from urface.types import UserError

Score = Literal["cosine", "likelihood"]
PROBES_AT_ONCE = 4096
ENTRIES_AT_ONCE = 4096  # a tile of 4096 x 4096 scores takes 64 MB


def pair_scores(pooled: Pooled, left: np.ndarray, right: np.ndarray, score: Score) -> np.ndarray:
    """[P] float32, larger is more alike, of templates ``left`` [P] and ``right`` [P]; NaN where either is
    a failure.

    cosine: the mean of the K cosines. likelihood: equation PA, which wants variances: UserError without.
    """
    return PairScorer(pooled, score)(left, right)


class PairScorer:
    """``pair_scores`` for those who ask often. One kernel scores every pair on its own, so templates that
    are equal score equal, wherever and in whatever company they are asked for."""

    def __init__(self, pooled: Pooled, score: Score) -> None:
        self.pooled, self.score = pooled, score
        if score == "likelihood":
            self.factors = sum_factors(_variance(pooled), pooled.there)

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        pooled = self.pooled
        if self.score == "cosine":
            return cosine_pairs(pooled.vectors, left, right, pooled.there)
        variance = _variance(pooled)
        return likelihood_pairs(pooled.vectors, variance, left, right, pooled.there, self.factors)


def _variance(pooled: Pooled) -> np.ndarray:
    if pooled.variance is None:
        raise UserError("this model gives no variance: score by cosine")
    return pooled.variance


class Tile(NamedTuple):
    """Scores [q, g] of probes from place ``probe`` on with gallery entries from place ``entry`` on.

    rounding [q] is how far they may be from those of ``pair_scores``, which sums in another order.
    """

    probe: int
    entry: int
    scores: np.ndarray
    rounding: np.ndarray


def search_tiles(
    pooled: Pooled, probes: np.ndarray, gallery: np.ndarray, score: Score
) -> Iterator[Tile]:
    """All scores of a search by tiles, so that a gallery of a million needs 64 MB for them.

    The same memory is used for each tile, and a user may write into it. Rows and columns of failures
    hold numbers that mean nothing: see ``Pooled.there``.
    """
    for top in range(0, len(probes), PROBES_AT_ONCE):
        rows = probes[top : top + PROBES_AT_ONCE]
        # One set of rows for all tiles of the gallery.
        ours = _Rows(pooled, rows, score)
        for left in range(0, len(gallery), ENTRIES_AT_ONCE):
            columns = gallery[left : left + ENTRIES_AT_ONCE]
            yield Tile(top, left, ours.against(columns), ours.rounding(columns))


class _Rows:
    def __init__(self, pooled: Pooled, rows: np.ndarray, score: Score) -> None:
        self.pooled, self.score = pooled, score
        self.vectors = pooled.vectors[rows]
        self.parts = pooled.vectors.shape[1]
        self.out = np.empty(0, np.float32)
        if score == "likelihood":
            self.variance = _variance(pooled)[rows]

    def against(self, columns: np.ndarray) -> np.ndarray:
        contiguous = len(columns) and (np.diff(columns) == 1).all()
        at = slice(int(columns[0]), int(columns[-1]) + 1) if contiguous else columns
        others = self.pooled.vectors[at]
        if self.score == "likelihood":
            return self._likelihood(others, _variance(self.pooled)[at])
        size = (len(self.vectors), len(others))
        if self.out.size < size[0] * size[1]:
            self.out = np.empty(size[0] * size[1], np.float32)
        out = self.out[: size[0] * size[1]].reshape(size)
        np.matmul(self.vectors.reshape(size[0], -1), others.reshape(size[1], -1).T, out=out)
        if self.parts > 1:
            out /= np.float32(self.parts)
        return out

    def rounding(self, columns: np.ndarray) -> np.ndarray:
        """[q] float32: twice the bound on a sum's error in float32, its length times the unit times what
        its terms amount to. A dot product of unit parts amounts to 1 at most."""
        unit, width = 2.0**-24, self.vectors.shape[2]
        if self.score == "cosine":
            return np.full(len(self.vectors), 2 * unit * (self.parts * width + 8), np.float32)
        variance, there = _variance(self.pooled), self.pooled.there
        usable = variance[columns[there[columns]]]
        if not usable.size:
            return np.zeros(len(self.vectors), np.float32)
        flat = self.variance.reshape(len(self.variance), -1)
        low = np.maximum(flat.min(1).astype(np.float64), 0) + float(usable.min())
        high = np.maximum(flat.max(1).astype(np.float64), 0) + float(usable.max())
        logs = np.maximum(abs(np.log(low)), abs(np.log(high)))
        terms = 4 * self.parts / low + self.parts * width * logs
        return (2 * unit * (width + self.parts + 8) * terms).astype(np.float32)

    def _likelihood(self, others: np.ndarray, variance: np.ndarray) -> np.ndarray:
        import torch

        from urface.scoring.likelihood import likelihood_matrix

        with torch.no_grad():
            sides = (self.vectors, self.variance, others, variance)
            scores: np.ndarray = likelihood_matrix(
                *(torch.from_numpy(np.ascontiguousarray(side)) for side in sides)
            ).numpy()
        return scores
