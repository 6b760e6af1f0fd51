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
from urface.scoring.fusion import fuse
from urface.scoring.score import Method, score, score_matrix
from urface.types import FaceEmbedding

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
    """Search probes in a gallery and judge what was found: ``search`` and ``judge_search``."""
    return judge_search(search(gallery, probes, labels, protocol, method))


def search(
    gallery: TestFaces,
    probes: TestFaces,
    labels: np.ndarray,
    protocol: SearchProtocol,
    method: Method,
) -> SearchOutcomes:
    """Search probes in a gallery, mated ones first; the two may be of different conditions.

    ``labels`` [N] says who is in each image. Several gallery images of a person become a template: by
    inverse variance for the likelihood score, by the mean for the cosine. A person without an embedding
    in the gallery stays a column that never wins, so that their probes are misses and not strangers.
    """
    people, person = np.unique(labels[protocol.gallery], return_inverse=True)
    rows = gallery.at(protocol.gallery)
    there = np.isin(np.arange(len(people)), person[rows >= 0])
    enrolled = gallery.faces[rows[rows >= 0]]
    if len(people) < len(protocol.gallery):
        enrolled = templates(enrolled, person[rows >= 0], method)
    else:
        enrolled = enrolled[np.argsort(person[rows >= 0])]
    places = np.concatenate([protocol.mated, protocol.nonmated])
    blocks = _score_rows(probes, probes.at(places), enrolled, there, method)
    return search_outcomes(blocks, labels[places], people)


def templates(faces: FaceEmbedding, person: np.ndarray, method: Method) -> FaceEmbedding:
    """One template for each of ``person`` [B], in ascending order, fused as the score wants it."""
    return fuse(faces, person, "inverse_variance" if method == "likelihood" else "mean")


def judge_search(outcomes: SearchOutcomes) -> Identification:
    """Rates of searches with mated and non-mated probes."""
    mated = outcomes.mated
    known = SearchOutcomes(
        *(getattr(outcomes, name)[mated] for name in ("mated", "mate", "other", "better"))
    )
    return Identification(
        rank_rates(known, RANKS), {fpir: tpir_at_fpir(outcomes, fpir) for fpir in FPIRS}
    )


def _score_rows(
    probes: TestFaces, rows: np.ndarray, enrolled: FaceEmbedding, there: np.ndarray, method: Method
) -> Iterator[np.ndarray]:
    """Blocks of scores [n, M] of the probes in order, NaN where one of the two has no embedding."""
    for first in range(0, len(rows), PROBES_AT_ONCE):
        part = rows[first : first + PROBES_AT_ONCE]
        block = np.full((len(part), len(there)), np.nan, np.float32)
        good = part >= 0
        scores = score_matrix(probes.faces[part[good]], enrolled, method)
        block[np.ix_(good, there)] = scores
        yield block
