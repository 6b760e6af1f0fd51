"""Search by likelihood as a search by inner product: every template's expanded vector in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from urface.search.blocks import Blocks
from urface.search.exact import ExactIndex
from urface.search.expansion import (
    WIDEST,
    Expansion,
    expand_gallery,
    expand_probe,
    fit_expansion,
)
from urface.search.ranking import Best
from urface.types import FaceEmbedding, UserError

CANDIDATES = 100  # of each probe, that are ranked by their exact scores
MARGIN = 1.25  # a range of variances is taken this much wider at each end than those there are


def load_faiss() -> Any:
    """FAISS. Raises UserError where it is not installed."""
    try:
        import faiss
    except ImportError:
        raise UserError('search with FAISS needs: pip install "urface[gallery]"') from None
    return faiss


class FlatIndex(ExactIndex):
    """All expanded vectors, 6.7 KB a template at [16, 32] beside its 2.1 KB, searched one by one by FAISS.

    The first 100 by inner product are ranked by exact scores. The expansion is fitted to the variances that
    are there, and all vectors made anew where one comes that is out of its range.
    """

    kind = "flat"

    def __init__(self, key: bytes | None = None) -> None:
        super().__init__(key)
        self.faiss = load_faiss()
        self.plan: Expansion | None = None

    @property
    def nbytes(self) -> int:
        return super().nbytes + (0 if self.plan is None else self.vectors.nbytes)

    def _append(self, ids: np.ndarray, mean: np.ndarray, variance: np.ndarray, dim: int) -> None:
        refuse_per_dimension(mean, variance, dim)
        start = len(self.rows)
        super()._append(ids, mean, variance, dim)
        if self.plan is None or not self.plan.covers(variance):
            self._expand_all()
        else:
            faces = faces_of(*self.rows.at(np.arange(start, len(self.rows))))
            self.vectors.append(expand_gallery(faces, self.plan))

    def _expand_all(self) -> None:
        self.plan = plan_for(self.rows)
        if self.plan is None:
            return
        self.vectors = Blocks(self.plan.dimensions, np.float32)
        for _, mean, variance in self.rows.tiles():
            self.vectors.append(expand_gallery(faces_of(mean, variance), self.plan))

    def remove(self, ids: np.ndarray) -> None:
        change = self.rows.remove(ids)
        if self.plan is not None and len(change.gone):
            self.vectors.put(change.to, self.vectors.take(change.left))
            self.vectors.cut(len(self.rows))

    def candidates(self, mean: np.ndarray, variance: np.ndarray, k: int) -> np.ndarray:
        if self.plan is None:
            return super().candidates(mean, variance, k)
        probes = expand_probe(
            faces_of(mean.reshape(len(mean), *self.plan.shape), variance), self.plan
        )
        keep = max(CANDIDATES, 2 * k)
        best = Best(len(probes), keep)
        for start, vectors in self.vectors.tiles():
            scores, places = self.faiss.knn(
                probes, vectors, min(keep, len(vectors)), metric=self.faiss.METRIC_INNER_PRODUCT
            )
            best.merge(scores, places + start)
        return best.places

    def load(self, path: str | Path) -> None:
        super().load(path)
        self.plan = None
        if len(self):
            self._expand_all()

    def close(self) -> None:
        super().close()
        self.plan = None


def plan_for(rows: Any, **terms: int) -> Expansion | None:
    """An expansion for the variances of ``rows``, and some more; None where they span too much for any: one
    odd template must not make a whole gallery unsearchable."""
    ends = [(variance.min(), variance.max()) for _, _, variance in rows.tiles()]
    low, high = float(min(a for a, _ in ends)) / MARGIN, float(max(b for _, b in ends)) * MARGIN
    return fit_expansion(low, high, rows.shape, **terms) if high <= WIDEST * low else None


def faces_of(mean: np.ndarray, variance: np.ndarray) -> FaceEmbedding:
    """Checked rows [N, K, D] and [N, K] as faces; their confidences are of no use here."""
    return FaceEmbedding(mean, np.ones(mean.shape[:2], np.float32), variance)


def refuse_per_dimension(mean: np.ndarray, variance: np.ndarray, dim: int) -> None:
    """Raises UserError for templates with a variance for every dimension, D = ``dim`` above 1."""
    if variance.shape[1] * dim != mean.shape[1]:
        raise UserError(
            "templates with a variance for every dimension cannot be expanded into vectors: use the "
            'index "exact:"'
        )
