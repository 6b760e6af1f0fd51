"""Exact scores of candidates, and the best k of them."""

from __future__ import annotations

import numpy as np
import torch

from urface.scoring.cosine import cosine_matrix
from urface.scoring.likelihood import likelihood_matrix
from urface.scoring.pairs import cosine_pairs, likelihood_pairs
from urface.search.index import NOBODY, Method
from urface.search.rows import Rows
from urface.types import UserError

PROBES = 256  # at a time: a tile of scores is 8 MB
FEW_PROBES = (
    4  # up to which pairs one by one are quicker than a matrix, which lays out the gallery first
)
SPARE = 8  # more than k that a scan keeps: its float32 sums may order near ties otherwise than exact scores
FACTORS = 7  # sums of two float32 variances whose product no float64 fails to hold: always the same, so that
# a score does not depend on who else is a candidate


def rank(
    rows: Rows,
    probe: tuple[np.ndarray, np.ndarray],
    candidates: np.ndarray,
    k: int,
    method: Method = "likelihood",
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of one probe's ``candidates``, places of ``rows`` [c] (-1: none): ids [k], scores [k].

    probe is a mean [K * D] and variances [K]. Scores are taken with differences before squares, each by
    itself.
    """
    ids = np.full(k, NOBODY, np.int64)
    scores = np.full(k, -np.inf, np.float32)
    places = candidates[candidates >= 0]
    if not len(places):
        return ids, scores
    mean, variance = rows.at(places)
    found = exact_scores(probe, mean, variance, method)
    names = rows.id_of.take(places)[:, 0]
    order = np.lexsort((names, -found))[:k]
    ids[: len(order)], scores[: len(order)] = names[order], found[order]
    return ids, scores


def exact_scores(
    probe: tuple[np.ndarray, np.ndarray], mean: np.ndarray, variance: np.ndarray, method: Method
) -> np.ndarray:
    """[n] float32, of one probe against templates [n, K, D] and [n, K] or [n, K, D]."""
    rows = np.concatenate([np.reshape(probe[0], (1, *mean.shape[1:])), mean])
    there = np.ones(len(rows), bool)
    left, right = np.zeros(len(mean), np.int64), np.arange(1, len(rows))
    if method == "cosine":
        return cosine_pairs(rows, left, right, there)
    spread = np.concatenate([np.reshape(probe[1], (1, *variance.shape[1:])), variance])
    return likelihood_pairs(rows, spread, left, right, there, FACTORS)


def scan(
    rows: Rows, mean: np.ndarray, variance: np.ndarray, keep: int, method: Method
) -> np.ndarray:
    """Places of the ``keep`` best templates of P probes, [P, keep], -1 where there are fewer.

    Every template is scored, block by block; never a matrix of all scores.
    """
    assert rows.shape is not None
    places = np.full((len(mean), keep), -1, np.int64)
    for first in range(0, len(mean), PROBES):
        here = slice(first, first + PROBES)
        faces = torch.from_numpy(mean[here]).view(-1, *rows.shape)
        spread = torch.from_numpy(rows.variances(variance[here]))
        best = Best(len(faces), keep)
        for start, templates, spreads in rows.tiles():
            other = torch.from_numpy(templates)
            if len(faces) <= FEW_PROBES:
                found = [
                    exact_scores((mean[row], variance[row]), templates, spreads, method)
                    for row in range(first, first + len(faces))
                ]
                scores = torch.from_numpy(np.stack(found))
            elif method == "cosine":
                scores = cosine_matrix(faces, other)
            else:
                scores = likelihood_matrix(faces, spread, other, torch.from_numpy(spreads))
            best.add(scores.numpy(), start)
        places[here] = best.places
    return places


class Best:
    """The ``keep`` highest scores of each of P probes in a stream of tiles, with their places."""

    def __init__(self, probes: int, keep: int) -> None:
        self.scores = np.full((probes, keep), -np.inf, np.float32)
        self.places = np.full((probes, keep), -1, np.int64)

    def add(self, scores: np.ndarray, start: int) -> None:
        """A tile [P, n] of templates at places ``start`` on; NaN is no score."""
        keep = self.scores.shape[1]
        scores = np.where(np.isnan(scores), -np.inf, scores)
        places = np.arange(start, start + scores.shape[1])[None].repeat(len(scores), 0)
        if scores.shape[1] > keep:
            top = np.argpartition(-scores, keep - 1, axis=1)[:, :keep]
            scores, places = np.take_along_axis(scores, top, 1), np.take_along_axis(places, top, 1)
        self.merge(scores, places)

    def merge(self, scores: np.ndarray, places: np.ndarray) -> None:
        """Some scores [P, n] with their places."""
        keep = self.scores.shape[1]
        both = np.concatenate([self.scores, scores], 1)
        where = np.concatenate([self.places, np.where(np.isneginf(scores), -1, places)], 1)
        top = np.argsort(-both, axis=1, kind="stable")[:, :keep]
        self.scores = np.take_along_axis(both, top, 1)
        self.places = np.take_along_axis(where, top, 1)


def checked(k: int, method: str) -> None:
    """Raises UserError where a search asks for what there is not."""
    if not 1 <= k <= 10_000:
        raise UserError(f"a search gives 1 to 10,000 templates, not {k}")
    if method not in ("likelihood", "cosine"):
        raise UserError(f"method must be likelihood or cosine, got {method!r}")
