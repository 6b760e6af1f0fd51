"""Where an identity lies among embeddings, though some of its images are of somebody else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from urface.types import UserError

KEPT = 0.5  # share of an identity's images that a robust centre is made of
ROUNDS = 4
BLOCK = 4096
FEW = 32  # images of an identity up to which each is left out of the centre it is held against


def unit_rows(features: np.ndarray) -> np.ndarray:
    """[n, D] float32 of length 1. Raises UserError where a feature has no length or is not finite."""
    rows = np.asarray(features, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths <= 0).any():
        raise UserError("every embedding must be finite and not 0: leave out images that gave none")
    return rows / lengths


def by_identity(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each label with the places [n] that bear it, ascending."""
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    yield from zip(names.tolist(), np.split(order, starts[1:]), strict=True)


def robust_centre(rows: np.ndarray) -> np.ndarray:
    """[D] of length 1: the mean of the half of the images [n, D] that lie nearest it.

    It starts at the image nearest to all others in the median, so up to half of the images may be of
    anybody. With one or two images it is their mean.
    """
    if len(rows) <= 2:
        return _unit(rows.mean(0))
    # A few hundred images say where to begin; all of a folder of thousands would cost their square.
    some = rows[:: max(1, len(rows) // 256)]
    centre = some[np.argmax(np.median(some @ some.T, axis=1))]
    kept = max(2, int(np.ceil(KEPT * len(rows))))
    for _ in range(ROUNDS):
        near = np.argpartition(-(rows @ centre), kept - 1)[:kept]
        centre = _unit(rows[near].mean(0))
    return centre


def centres(features: np.ndarray, labels: np.ndarray, identities: int) -> np.ndarray:
    """[C, D] float32 robust centres; 0 for an identity without an image."""
    made = np.zeros((identities, features.shape[1]), np.float32)
    for label, places in by_identity(labels):
        made[label] = robust_centre(unit_rows(features[places]))
    return made


def own_scores(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[N] cosine of each image to the robust centre of its identity's OTHER images; NaN for a lone one."""
    scores = np.full(len(labels), np.nan, np.float32)
    for _, places in by_identity(labels):
        if len(places) < 2:
            continue
        rows = unit_rows(features[places])
        # One of so many hardly moves the centre.
        few = len(places) <= FEW
        scores[places] = _left_out(rows) if few else rows @ robust_centre(rows)
    return scores


def _left_out(rows: np.ndarray) -> np.ndarray:
    """[n] cosine of each row to ``robust_centre`` of the others, all at once, from their cosines alone."""
    count, rest = len(rows), len(rows) - 1
    cosines = rows @ rows.T
    itself = np.eye(count, dtype=bool)
    members = 1.0 - itself  # [n, n], of which images the centre without i is made
    if rest > 2:
        others = np.repeat(cosines[None], count, axis=0)
        others[np.arange(count), :, np.arange(count)] = np.inf
        others.sort(axis=2)
        medians = (others[:, :, (rest - 1) // 2] + others[:, :, rest // 2]) / 2
        medians[itself] = -np.inf
        members = itself[np.argmax(medians, axis=1)].astype(np.float64)
        kept = max(2, int(np.ceil(KEPT * rest)))
        for _ in range(ROUNDS):
            near = members @ cosines
            near[itself] = -np.inf
            nearest = np.argpartition(-near, kept - 1, axis=1)[:, :kept]
            members = np.zeros_like(members)
            np.put_along_axis(members, nearest, 1.0, axis=1)
    sums = members @ cosines
    lengths = np.sqrt(np.maximum((sums * members).sum(1), 1e-12))
    scores: np.ndarray = np.diagonal(sums) / lengths
    return scores


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return (vector / length if length > 0 else vector).astype(np.float32)
