"""Embeddings in which the ways that one person's images differ count less: whitened within identities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from urface.data.centres import BLOCK, by_identity, unit_rows

KEPT = 0.9  # of the residuals, the nearest: wrongly labelled images would blow up the spread
SHRINKAGE = 0.1  # towards a round spread; more where there are fewer images than dimensions


@dataclass(frozen=True, eq=False)
class Within:
    """features -> (unit features - mean [D]) @ matrix [D, D]."""

    mean: np.ndarray
    matrix: np.ndarray

    def apply(self, features: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """[N, D] float32, block by block, into ``out`` where given (a file in place of memory)."""
        into = np.empty(features.shape, np.float32) if out is None else out
        for start in range(0, len(features), BLOCK):
            block = slice(start, start + BLOCK)
            into[block] = (unit_rows(features[block]) - self.mean) @ self.matrix
        return into


def fit_within(features: np.ndarray, labels: np.ndarray) -> Within:
    """The whitening of the spread around each identity's median (within-class covariance normalisation).

    features [N, D], labels [N]. The identities' own labels are used although some are wrong: medians hardly
    move, and the farthest tenth of the residuals is left out. Memory for D x D and one identity at a time.
    """
    dims = features.shape[1]
    lengths = np.zeros(len(labels), np.float32)
    mean = np.zeros(dims)
    for _, places in by_identity(labels):
        rows = unit_rows(features[places])
        mean += rows.sum(0)
        lengths[places] = np.linalg.norm(rows - np.median(rows, axis=0), axis=1)
    reach = np.quantile(lengths[lengths > 0], KEPT) if (lengths > 0).any() else 0.0
    spread, count = np.zeros((dims, dims)), 0
    for _, places in by_identity(labels):
        if len(places) < 2:
            continue
        rows = unit_rows(features[places])
        residuals = (rows - np.median(rows, axis=0))[lengths[places] <= reach].astype(np.float64)
        spread += residuals.T @ residuals
        count += len(residuals)
    size = float(np.trace(spread)) / dims
    if not size > 0:
        return Within((mean / len(labels)).astype(np.float32), np.eye(dims, dtype=np.float32))
    share = max(SHRINKAGE, dims / (dims + count))
    spread = (1 - share) * spread / size + share * np.eye(dims)
    values, vectors = np.linalg.eigh(spread)
    matrix = vectors / np.sqrt(values)
    return Within((mean / len(labels)).astype(np.float32), matrix.astype(np.float32))
