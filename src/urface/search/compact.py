"""Search by likelihood among a million templates: expanded vectors as 4-bit codes, scanned by FAISS.

Product quantisation fits the expansion. Two dimensions of a mean under R = 2 terms are one code of 4 bits
(one dimension under R = 4, where variances span more); the numbers that a sub-embedding's variance alone
decides lie on a curve, along which 16 places are enough. That is 144 (272) bytes a template at [16, 32] where
whole vectors take 4.6 (9) KB, and FAISS scans 32 templates at once with its tables in registers. Codes only
choose the candidates; exact scores rank them.

Lists of similar templates (IVF) are left out on purpose: see docs/search.md.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from urface.search.blocks import BLOCK, Blocks
from urface.search.exact import ExactIndex
from urface.search.expansion import Expansion, expand_gallery, expand_probe
from urface.search.flat import faces_of, load_faiss, plan_for, refuse_per_dimension
from urface.types import UserError

# R and Q, such that codes of GROUP numbers can be cut from groups of R and of R + Q + 1.
GROUP = 4
FEW, MANY = (2, 5), (4, 3)
FEW_ERROR = (
    0.05  # of the distance term, up to which few terms do: of variances within a factor of 18
)
TRAINED_FROM = 8192  # templates; fewer are scored one by one, in some milliseconds
SAMPLE = 32768  # templates that codes are learnt from
GROWTH = 8  # times as many templates as codes were learnt with: they are learnt anew
DEAD = 0.2  # share of codes of removed templates at which all are made anew
CANDIDATES, SHARE = 1000, 500  # at least, and one template in so many: ranked by exact scores


class LikelihoodIndex(ExactIndex):
    """Codes of 144 or 272 bytes a template at [16, 32] beside its 2.1 KB; the default.

    Which candidates are found depends a little on the templates that the codes were learnt from, and so on
    the order they came in; their scores do not. Below 8,192 templates every one is scored.
    """

    kind = "compact"

    def __init__(self, key: bytes | None = None) -> None:
        super().__init__(key)
        self.faiss = load_faiss()
        self._forget()

    def _forget(self) -> None:
        self.plan: Expansion | None = None
        self.codes: Any = None
        self.trained_on = 0

    @property
    def nbytes(self) -> int:
        codes = 0 if self.codes is None else self.codes.ntotal * (self.codes.code_size + 16)
        return super().nbytes + codes

    def _append(self, ids: np.ndarray, mean: np.ndarray, variance: np.ndarray, dim: int) -> None:
        refuse_per_dimension(mean, variance, dim)
        if dim * FEW[0] % GROUP:
            raise UserError(f'sub-embeddings of {dim} dimensions need the index "faiss-flat:"')
        start = len(self.rows)
        super()._append(ids, mean, variance, dim)
        if self.plan is not None and self._fits(variance):
            self._encode(start)
        elif len(self.rows) >= TRAINED_FROM:
            self._train()
        else:  # a plan of more templates than there are now, which these do not fit: all are compared
            self._forget()

    def _fits(self, variance: np.ndarray) -> bool:
        assert self.plan is not None
        return self.plan.covers(variance) and len(self.rows) < GROWTH * self.trained_on

    def _train(self) -> None:
        """Fit the expansion, learn the codes and make those of all templates."""
        plan = plan_for(self.rows, terms=FEW[0], log_terms=FEW[1])
        if plan is not None and plan.distance_error > FEW_ERROR:
            plan = plan_for(self.rows, terms=MANY[0], log_terms=MANY[1])
        if plan is None:
            self._forget()
            return
        self.plan = plan
        self.trained_on = len(self.rows)
        sample = np.sort(
            np.random.default_rng(0).permutation(len(self.rows))[: min(SAMPLE, len(self.rows))]
        )
        vectors = self._cut(expand_gallery(faces_of(*self.rows.at(sample)), self.plan))
        self.codes = self.faiss.IndexPQFastScan(
            vectors.shape[1], vectors.shape[1] // GROUP, 4, self.faiss.METRIC_INNER_PRODUCT
        )
        self.codes.pq.cp.niter = 10
        self.codes.train(vectors)
        self._encode_all()

    def _encode_all(self) -> None:
        self.codes.reset()
        self.place_of = Blocks(1, np.int64)  # of the template of each code, -1: removed
        self.code_of = Blocks(1, np.int64)  # of the template at each place
        self.dead = 0
        self._encode(0)

    def _encode(self, start: int) -> None:
        """Codes of the templates at ``start`` and behind."""
        assert self.plan is not None
        for first in range(start, len(self.rows), BLOCK):
            places = np.arange(first, min(first + BLOCK, len(self.rows)))
            vectors = expand_gallery(faces_of(*self.rows.at(places)), self.plan)
            self.code_of.append(np.arange(len(places))[:, None] + self.codes.ntotal)
            self.codes.add(self._cut(vectors))
            self.place_of.append(places[:, None])

    def _cut(self, vectors: np.ndarray) -> np.ndarray:
        """What codes are made of: without the last number, the same for all templates, and what fills up."""
        assert self.plan is not None
        (K, D), R = self.plan.shape, len(self.plan.points)
        used = R * K * D + (R + len(self.plan.log_points) + 1) * K
        return np.ascontiguousarray(vectors[:, :used])

    def remove(self, ids: np.ndarray) -> None:
        known = [self.rows.place[i] for i in np.unique(ids).tolist() if i in self.rows.place]
        if self.plan is not None and known:
            self.place_of.put(
                self.code_of.take(np.array(known))[:, 0], np.full((len(known), 1), -1)
            )
        change = self.rows.remove(ids)
        if self.plan is None or not len(change.gone):
            return
        codes = self.code_of.take(change.left)
        self.code_of.put(change.to, codes)
        self.place_of.put(codes[:, 0], change.to[:, None])
        self.code_of.cut(len(self.rows))
        self.dead += len(change.gone)
        if len(self.rows) < TRAINED_FROM // 2:
            self._forget()
        elif self.dead > DEAD * self.codes.ntotal:
            self._encode_all()

    def candidates(self, mean: np.ndarray, variance: np.ndarray, k: int) -> np.ndarray:
        if self.plan is None:
            return super().candidates(mean, variance, k)
        faces = faces_of(mean.reshape(len(mean), *self.plan.shape), variance)
        probes = self._cut(expand_probe(faces, self.plan))
        wanted = min(len(self), max(CANDIDATES, len(self) // SHARE, 10 * k))
        keep = min(self.codes.ntotal, math.ceil(wanted * self.codes.ntotal / len(self)))
        _, found = self.codes.search(probes, keep)
        places = self.place_of.take(np.maximum(found, 0).reshape(-1)).reshape(found.shape)
        places = np.where(found < 0, -1, places)
        # Codes of the removed may take the best ranks, all of them where a probe is of such a person.
        few = np.flatnonzero((places >= 0).sum(1) < wanted / 2)
        if len(few):
            exact = super().candidates(mean[few], variance[few], k)
            width = max(places.shape[1], exact.shape[1])
            places = np.pad(places, ((0, 0), (0, width - places.shape[1])), constant_values=-1)
            places[few] = -1
            places[few, : exact.shape[1]] = exact
        return places

    def load(self, path: str | Path) -> None:
        super().load(path)
        self._forget()
        if len(self) >= TRAINED_FROM:
            self._train()

    def close(self) -> None:
        super().close()
        self._forget()
