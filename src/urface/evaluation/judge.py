"""Scores of a protocol, and what the metrics say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.evaluation.embedding import TestFaces
from urface.evaluation.protocol import PairProtocol, SearchProtocol
from urface.metrics.identification import SearchOutcomes, rank_rates, search_outcomes, tpir_at_fpir
from urface.metrics.intervals import Rate
from urface.metrics.verification import FoldAccuracy, TarAtFar, kfold_accuracy, tar_at_far
from urface.scoring.score import Method, score, score_matrix

FARS = (0.1, 0.01, 0.001)
FPIRS = (0.01, 0.1)
RANKS = (1, 5, 10)
PROBES_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Verification:
    """1:1: accuracy over the folds, and TAR at FAR at most each target."""

    scores: np.ndarray
    accuracy: FoldAccuracy
    tar: tuple[TarAtFar, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracy.pooled.to_dict(),
            "standard_error": self.accuracy.standard_error,
            "fold_mean": self.accuracy.mean,
            "tar": [
                {
                    "far": at.far_target,
                    "threshold": at.to_dict()["threshold"],
                    "far_achieved": at.far.to_dict(),
                    "tar": at.tar.to_dict(),
                }
                for at in self.tar
            ],
        }


@dataclass(frozen=True, eq=False)
class Identification:
    """1:N: the mate's rank for mated probes, and the open set with non-mated ones."""

    closed: dict[int, Rate]
    open: dict[float, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "closed": {str(rank): rate.to_dict() for rank, rate in self.closed.items()},
            "open": [
                {"fpir": fpir, "tpir": at.tpir.to_dict(), "fpir_achieved": at.fpir.to_dict()}
                for fpir, at in self.open.items()
            ],
        }


def pair_scores(
    left: TestFaces, right: TestFaces, protocol: PairProtocol, method: Method
) -> np.ndarray:
    """Scores [P] of the pairs, NaN where one of the two images could not be embedded."""
    a, b = left.at(protocol.left), right.at(protocol.right)
    scores = np.full(len(a), np.nan)
    both = (a >= 0) & (b >= 0)
    scores[both] = score(left.faces[a[both]], right.faces[b[both]], method)
    return scores


def verify(
    left: TestFaces,
    right: TestFaces,
    protocol: PairProtocol,
    method: Method,
    fars: Sequence[float] = FARS,
) -> Verification:
    """Judge the pairs of a protocol."""
    scores = pair_scores(left, right, protocol, method)
    return judge_pairs(scores, protocol, fars)


def judge_pairs(
    scores: np.ndarray, protocol: PairProtocol, fars: Sequence[float] = FARS
) -> Verification:
    """Judge scores [P], however they were made."""
    return Verification(
        scores,
        kfold_accuracy(scores, protocol.same, protocol.fold),
        tuple(tar_at_far(scores, protocol.same, far) for far in fars),
    )


def identify(
    gallery: TestFaces,
    probes: TestFaces,
    labels: np.ndarray,
    protocol: SearchProtocol,
    method: Method,
) -> Identification:
    """Search probes in a gallery; the two may be of different conditions.

    ``labels`` [N] says who is in each image. A gallery image without an embedding stays a column that
    never wins, so that its person's probes are misses and not strangers.
    """
    columns = gallery.at(protocol.gallery)

    def outcomes(places: np.ndarray) -> SearchOutcomes:
        blocks = _score_rows(probes, probes.at(places), gallery, columns, method)
        return search_outcomes(blocks, labels[places], labels[protocol.gallery])

    mated, nonmated = outcomes(protocol.mated), outcomes(protocol.nonmated)
    both = SearchOutcomes(
        *(
            np.concatenate([getattr(mated, name), getattr(nonmated, name)])
            for name in ("mated", "mate", "other", "better")
        )
    )
    return Identification(
        rank_rates(mated, RANKS), {fpir: tpir_at_fpir(both, fpir) for fpir in FPIRS}
    )


def _score_rows(
    probes: TestFaces, rows: np.ndarray, gallery: TestFaces, columns: np.ndarray, method: Method
) -> Iterator[np.ndarray]:
    """Blocks of scores [n, M] of the probes in order, NaN where one of the two has no embedding."""
    there = columns >= 0
    enrolled = gallery.faces[columns[there]]
    for first in range(0, len(rows), PROBES_AT_ONCE):
        part = rows[first : first + PROBES_AT_ONCE]
        block = np.full((len(part), len(columns)), np.nan, np.float32)
        good = part >= 0
        scores = score_matrix(probes.faces[part[good]], enrolled, method)
        block[np.ix_(good, there)] = scores
        yield block
