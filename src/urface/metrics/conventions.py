"""The field's own variants of the metrics, by name: to reproduce a published number and see the difference.

None of them is what our tables report. Each says where it departs from the plain definition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.metrics.comparisons import checked
from urface.metrics.curves import roc
from urface.metrics.identification import Scores, SearchOutcomes, codes_of, parts_of
from urface.metrics.intervals import Rate, rate
from urface.metrics.thresholds import finite_or_none, why_unsupported
from urface.types import UserError

GRID = np.arange(0, 4, 0.01)  # squared distances of unit vectors; InsightFace's thresholds


@dataclass(frozen=True)
class TarAtNearestFar:
    """TAR at the point of the ROC whose FAR lies nearest ``far_target``, above or below it.

    ``reason`` says what the rule of 30 has against the target, "" where nothing; the rates are given all
    the same, for that is the convention.
    """

    far_target: float
    threshold: float
    far: Rate
    tar: Rate
    reason: str = ""

    @property
    def overshoots(self) -> bool:
        """Whether more impostors are accepted than was asked for."""
        return self.far.events > self.far_target * self.far.trials

    def to_dict(self) -> dict[str, Any]:
        """The fields and ``overshoots`` as JSON values; a threshold of +inf is None."""
        return {
            "far_target": self.far_target,
            "threshold": finite_or_none(self.threshold),
            "far": self.far.to_dict(),
            "tar": self.tar.to_dict(),
            "overshoots": self.overshoots,
            "reason": self.reason,
        }


def tar_at_nearest_far(scores: np.ndarray, same: np.ndarray, far: float) -> TarAtNearestFar:
    """As InsightFace's IJB scripts read it off scikit-learn's ``roc_curve``.

    That curve leaves out the points on straight lines between others, so the nearest is sought among its
    corners; of two equally near ones the one of the larger FAR is taken, and of one FAR the largest TAR.
    Ours (``tar_at_far``) never exceeds the target. Arguments and errors as ``tar_at_far``.
    """
    return tar_at_nearest_fars(scores, same, [far])[0]


def tar_at_nearest_fars(
    scores: np.ndarray, same: np.ndarray, fars: Sequence[float]
) -> list[TarAtNearestFar]:
    """``tar_at_nearest_far`` for each of ``fars``: the scores are sorted once."""
    impostors = int(np.count_nonzero(~checked(scores, same)[1]))
    reasons = [why_unsupported(far, impostors, "impostor pairs") for far in fars]
    curve = roc(scores, same)
    corners = np.ones(len(curve.thresholds), bool)
    if len(corners) > 3:  # the curve has its point of no match apart
        bends = np.diff(curve.false_matches[1:], 2) | np.diff(curve.true_matches[1:], 2)
        corners[2:-1] = bends != 0
    places = np.flatnonzero(corners)[::-1]
    false, true = curve.false_matches[places], curve.true_matches[places]
    found = []
    for far, reason in zip(fars, reasons, strict=True):
        at = int(np.argmin(np.abs(false / curve.num_impostor - far)))
        found.append(
            TarAtNearestFar(
                far,
                float(curve.thresholds[places[at]]),
                rate(false[at], curve.num_impostor, failures=curve.failed_impostor),
                rate(true[at], curve.num_genuine, failures=curve.failed_genuine),
                reason,
            )
        )
    return found


@dataclass(frozen=True)
class GridAccuracy:
    """Accuracy over F folds with thresholds from a grid of squared distances.

    std         over the folds, divided by F and not by F - 1
    thresholds  F, the squared distance below which a pair is the same person in each fold
    pooled      right answers of all pairs; ``pooled.failures`` had no distance
    """

    mean: float
    std: float
    per_fold: tuple[float, ...]
    thresholds: tuple[float, ...]
    pooled: Rate

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "mean": self.mean,
            "std": self.std,
            "per_fold": list(self.per_fold),
            "thresholds": list(self.thresholds),
            "pooled": self.pooled.to_dict(),
        }


def squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[N] squared distances of features [N, D] of N pairs, each brought to length 1 first.

    InsightFace gives the sum of an image's features and its mirror image's. NaN where a feature is NaN or
    has no length. Raises UserError where the shapes differ.
    """
    left, right = np.asarray(left), np.asarray(right)
    if left.ndim != 2 or left.shape != right.shape:
        raise UserError(
            f"features of pairs must be [N, D] each, got {list(left.shape)} and {list(right.shape)}"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [f / np.sqrt(np.sum(np.square(f), axis=1, keepdims=True)) for f in (left, right)]
    distances: np.ndarray = np.square(ends[0] - ends[1]).sum(1)
    return distances


def kfold_accuracy_by_grid(
    distances: np.ndarray,
    same: np.ndarray,
    folds: np.ndarray | int = 10,
    grid: np.ndarray = GRID,
) -> GridAccuracy:
    """InsightFace's accuracy on its verification sets: distance < threshold is the same person.

    distances [N], see ``squared_distances``, NaN = failed; same [N] bool; folds their number, of N pairs in
    order as scikit-learn's KFold cuts them, or the fold [N] of each pair; grid [T] rising. For each fold the
    first of the best thresholds on the others is taken. Ours (``kfold_accuracy``) seeks it among all scores.
    Raises UserError where the shapes do not fit, or there are fewer pairs than folds or than two folds.
    """
    distances, same = checked(distances, same)
    count = len(distances)
    fold_of = _cut(count, folds) if isinstance(folds, int) else np.asarray(folds)
    if fold_of.shape != distances.shape:
        raise UserError(f"folds must be [N] = [{count}], got {list(fold_of.shape)}")
    names, fold_of = np.unique(fold_of, return_inverse=True)
    if len(names) < 2:
        raise UserError(f"accuracy by cross-validation needs two folds or more, got {len(names)}")
    # The first threshold above each distance: from it on the pair is accepted. NaN: never.
    first = np.searchsorted(grid, distances, side="right")
    gains = np.zeros((len(names), len(grid) + 1), np.int64)
    np.add.at(gains, (fold_of, first), np.where(same, 1, -1))
    refused = np.bincount(fold_of, ~same, minlength=len(names)).astype(np.int64)
    right = refused[:, None] + np.cumsum(gains[:, :-1], axis=1)
    best = np.argmax(right.sum(0) - right, axis=1)
    right_answers = right[np.arange(len(names)), best]
    per_fold = right_answers / np.bincount(fold_of)
    return GridAccuracy(
        mean=float(per_fold.mean()),
        std=float(per_fold.std()),
        per_fold=tuple(per_fold.tolist()),
        thresholds=tuple(np.asarray(grid)[best].tolist()),
        pooled=rate(int(right_answers.sum()), count, failures=int(np.isnan(distances).sum())),
    )


def _cut(count: int, folds: int) -> np.ndarray:
    """[N] the fold of each of N pairs in order; the first folds hold one more where it does not divide."""
    if not 2 <= folds <= count:
        raise UserError(f"{count} pairs cannot be cut into {folds} folds")
    sizes = np.full(folds, count // folds)
    sizes[: count % folds] += 1
    return np.repeat(np.arange(folds), sizes)


@dataclass(frozen=True)
class PublishedTpir:
    """TPIR as a published script computes it.

    definition  its name: ``pooled pairs`` or ``probe maxima``
    threshold   a mate scores above it, strictly
    tpir        of the mated probes
    alarms      what lies above the threshold of that from which it was taken: pairs or non-mated probes
    """

    definition: str
    fpir_target: float
    threshold: float
    tpir: Rate
    alarms: Rate

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; an infinite threshold is None."""
        return {
            "definition": self.definition,
            "fpir_target": self.fpir_target,
            "threshold": finite_or_none(self.threshold),
            "tpir": self.tpir.to_dict(),
            "alarms": self.alarms.to_dict(),
        }


def tpir_by_pooled_pairs(
    scores: Scores,
    probe_ids: Sequence[Any] | np.ndarray,
    gallery_ids: Sequence[Any] | np.ndarray,
    fpir: float,
) -> PublishedTpir:
    """InsightFace's ``ijb_1n.py``, whose fault its pull request 1386 describes.

    Both galleries are searched as one, so every probe is mated, and exactly once. The threshold is the
    ceil(fpir * probes)-th largest of ALL scores to other people's entries, of which a probe has thousands:
    it bounds false alarms per probe, not the share of non-mated probes that raise one, and lies too high.
    A mate need not stand first. Scores as in ``search_outcomes``. Raises UserError as it does, and where a
    probe has not exactly one entry of its person, or there are fewer scores of others than are allowed.
    """
    if not 0.0 < fpir <= 1.0:
        raise UserError(f"an error rate to aim at must lie above 0 and be at most 1, got {fpir}")
    probes, gallery = codes_of(probe_ids, gallery_ids)
    entries = np.bincount(gallery, minlength=int(probes.max()) + 1)[probes]
    if (entries != 1).any():
        raise UserError(
            f"{int((entries != 1).sum())} probes have not exactly one entry in the gallery: this definition "
            "searches all galleries as one"
        )
    allowed = math.ceil(fpir * len(probes))
    mates, highest = np.full(len(probes), np.nan), np.empty(0)
    row = pairs = 0
    for part in parts_of(scores, len(gallery)):
        if row + len(part) > len(probes):
            raise UserError(f"there are more rows of scores than the {len(probes)} probes")
        is_mate = probes[row : row + len(part), None] == gallery[None, :]
        mates[row : row + len(part)] = part[is_mate]  # one a row, so in the rows' order
        others = part[~is_mate]
        pairs += len(others)
        highest = np.concatenate([highest, others[~np.isnan(others)]])
        if len(highest) > allowed:
            highest = np.partition(highest, len(highest) - allowed)[-allowed:]
        row += len(part)
    if row != len(probes):
        raise UserError(f"there are {row} rows of scores for {len(probes)} probes")
    if len(highest) < allowed:
        raise UserError(f"{len(highest)} scores of other people cannot hold {allowed} false alarms")
    threshold = float(highest.min())
    return PublishedTpir(
        "pooled pairs",
        fpir,
        threshold,
        rate(int((mates > threshold).sum()), len(probes), failures=int(np.isnan(mates).sum())),
        rate(int((highest > threshold).sum()), pairs),
    )


def tpir_by_probe_maxima(outcomes: SearchOutcomes, fpir: float) -> PublishedTpir:
    """InsightFace's ``ijb_evals.py`` since its pull request 1739; one gallery, the mean of two is theirs.

    The threshold is the floor(fpir * n)-th largest, at least the first, of the n non-mated probes' best
    scores; a mate counts where it stands alone at the top and scores above it, strictly. So one alarm fewer
    than allowed passes: at most a step below ``tpir_at_fpir``. Raises UserError where mated or non-mated
    probes are missing, or fpir is not in (0, 1].
    """
    if not 0.0 < fpir <= 1.0:
        raise UserError(f"an error rate to aim at must lie above 0 and be at most 1, got {fpir}")
    mated = outcomes.mated
    for part, name in ((mated, "mated"), (~mated, "non-mated")):
        if not part.any():
            raise UserError(f"an open set needs {name} probes and there are none")
    best = np.where(np.isnan(outcomes.other), -np.inf, outcomes.other)[~mated]
    place = max(int(len(best) * fpir) - 1, 0)
    threshold = float(np.sort(best)[::-1][place])
    found = mated & (outcomes.better == 0) & (outcomes.mate > threshold)
    return PublishedTpir(
        "probe maxima",
        fpir,
        threshold,
        rate(int(found.sum()), int(mated.sum()), failures=outcomes.failed_mated),
        rate(int((best > threshold).sum()), len(best), failures=outcomes.failed_nonmated),
    )
