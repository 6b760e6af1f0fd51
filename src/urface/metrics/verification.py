"""One-to-one verification: accuracy over folds, and the true-accept rate at a false-accept rate.

A pair is accepted where score >= threshold. How a failed comparison (NaN) counts: see
comparisons.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.metrics.comparisons import checked, split
from urface.metrics.intervals import Rate, rate, withheld
from urface.metrics.thresholds import (
    MIN_ERRORS,
    allowed_errors,
    finite_or_none,
    threshold_at_most,
    why_unsupported,
)
from urface.types import UserError


@dataclass(frozen=True, eq=False)
class FoldAccuracy:
    """Accuracy where each fold is judged with a threshold chosen on the other folds.

    mean, std, standard_error   over the F folds, as shares; std is the sample one (F - 1), and the
                                standard error is std / sqrt(F), as the LFW protocol reports it
    folds, per_fold, thresholds F each: the fold's name, its accuracy, the threshold used in it
    pooled                      right answers of all N pairs; ``pooled.failures`` had no score
    failed_genuine              failures among pairs of one person, each a wrong answer
    failed_impostor             failures among pairs of two people, each a right answer
    correct                     [N] bool, in the order given, for intervals by subject
    """

    mean: float
    std: float
    standard_error: float
    folds: tuple[Any, ...]
    per_fold: tuple[float, ...]
    thresholds: tuple[float, ...]
    pooled: Rate
    failed_genuine: int
    failed_impostor: int
    correct: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """All but ``correct`` as JSON values; a threshold that accepts nothing (+inf) is None."""
        return {
            "mean": self.mean,
            "std": self.std,
            "standard_error": self.standard_error,
            "folds": list(self.folds),
            "per_fold": list(self.per_fold),
            "thresholds": [finite_or_none(threshold) for threshold in self.thresholds],
            "pooled": self.pooled.to_dict(),
            "failed_genuine": self.failed_genuine,
            "failed_impostor": self.failed_impostor,
        }


def kfold_accuracy(scores: np.ndarray, same: np.ndarray, folds: np.ndarray) -> FoldAccuracy:
    """Verification accuracy by cross-validation (LFW, CFP-FP, AgeDB-30 and their like).

    scores [N] larger = more alike, NaN = failed; same [N] bool; folds [N] the fold of each pair.
    For each fold the threshold is the one of ``best_threshold`` on all other folds. O(N log N) for
    a fixed number of folds. Raises UserError where lengths differ, a score is infinite, there are
    fewer than two folds, or the folds other than one hold no genuine or no impostor pair.
    """
    scores, same = checked(scores, same)
    scores = scores.astype(np.float64, copy=False)  # midpoints of float32 scores need more digits
    folds = np.asarray(folds)
    if folds.shape != scores.shape:
        raise UserError(f"folds must be [N] = [{len(scores)}], got {list(folds.shape)}")
    names, fold_of = np.unique(folds, return_inverse=True)
    if len(names) < 2:
        raise UserError(f"accuracy by cross-validation needs two folds or more, got {len(names)}")

    correct = np.zeros(len(scores), dtype=bool)
    per_fold: list[float] = []
    thresholds: list[float] = []
    for fold, name in enumerate(names.tolist()):
        held_out = fold_of == fold
        others = same[~held_out]
        if others.all() or not others.any():
            kind = "impostor" if others.all() else "genuine"
            raise UserError(
                f"the folds other than {name} hold no {kind} pair to choose a threshold on"
            )
        threshold = best_threshold(scores[~held_out], others)
        # NaN >= threshold is False, which is what a failed comparison stands for.
        correct[held_out] = (scores[held_out] >= threshold) == same[held_out]
        per_fold.append(float(correct[held_out].mean()))
        thresholds.append(threshold)

    std = float(np.std(per_fold, ddof=1))
    failed = np.isnan(scores)
    return FoldAccuracy(
        mean=float(np.mean(per_fold)),
        std=std,
        standard_error=std / math.sqrt(len(names)),
        folds=tuple(names.tolist()),
        per_fold=tuple(per_fold),
        thresholds=tuple(thresholds),
        pooled=rate(int(correct.sum()), len(correct), failures=int(failed.sum())),
        failed_genuine=int((failed & same).sum()),
        failed_impostor=int((failed & ~same).sum()),
        correct=correct,
    )


def best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    """The threshold with the most right answers on these pairs.

    Candidates are the observed scores and +inf. Of equally good ones the lowest is taken, then
    moved down to the middle of the gap below it: that changes no answer here, and it leaves new
    genuine pairs as much room as new impostor pairs. scores [N] with NaN for failed; same [N] bool.
    """
    known = ~np.isnan(scores)
    values, place = np.unique(scores[known], return_inverse=True)
    gain = np.bincount(place, np.where(same[known], 1, -1), minlength=len(values))
    # From "accept nothing" downwards, each score accepted adds its genuine and costs its impostors.
    gains = np.append(np.cumsum(gain[::-1])[::-1], 0)
    best = int(np.argmax(gains))  # the first maximum, so the lowest threshold
    if best == len(values):
        return math.inf
    upper = float(values[best])
    if best == 0:
        return upper
    lower = float(values[best - 1])
    middle = lower + (upper - lower) / 2
    return middle if lower < middle < upper else upper  # neighbouring floats have no middle


@dataclass(frozen=True)
class TarAtFar:
    """The true-accept rate where the false-accept rate is at most ``far_target``.

    Where ``supported`` is False both rates are withheld with ``reason`` and ``threshold`` is None.
    A threshold of +inf accepts nothing: an impostor tie at the very top would overshoot.
    ``far.failures`` and ``tar.failures`` count the impostor and genuine comparisons without a
    score.
    """

    far_target: float
    threshold: float | None
    far: Rate
    tar: Rate
    supported: bool
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; a threshold that accepts nothing (+inf) is None."""
        return {
            "far_target": self.far_target,
            "threshold": finite_or_none(self.threshold),
            "far": self.far.to_dict(),
            "tar": self.tar.to_dict(),
            "supported": self.supported,
            "reason": self.reason,
        }


def tar_at_far(
    scores: np.ndarray, same: np.ndarray, far: float, *, min_errors: int = MIN_ERRORS
) -> TarAtFar:
    """The largest acceptance whose share of accepted impostor pairs is at most ``far``.

    "At most", never "nearest": the nearest rate may overshoot and inflates the result. Withheld
    where ``far`` allows these data fewer than ``min_errors`` false accepts, and always where far is
    below 1 / (impostor pairs). scores [N] larger = more alike, NaN = failed; same [N] bool. O(N),
    no sort. Raises UserError where lengths differ, a score is infinite, a kind of pair is missing,
    or far lies outside (0, 1].
    """
    pairs = split(scores, same)
    reason = why_unsupported(far, pairs.num_impostor, "impostor pairs", min_errors)
    if reason:
        return TarAtFar(
            far_target=far,
            threshold=None,
            far=withheld(reason, pairs.num_impostor, failures=pairs.failed_impostor),
            tar=withheld(reason, pairs.num_genuine, failures=pairs.failed_genuine),
            supported=False,
            reason=reason,
        )
    allowed = allowed_errors(far, pairs.num_impostor)
    threshold = threshold_at_most(pairs.impostor, pairs.genuine, allowed)
    false_accepts = int(np.count_nonzero(pairs.impostor >= threshold))
    true_accepts = int(np.count_nonzero(pairs.genuine >= threshold))
    return TarAtFar(
        far_target=far,
        threshold=threshold,
        far=rate(false_accepts, pairs.num_impostor, failures=pairs.failed_impostor),
        tar=rate(true_accepts, pairs.num_genuine, failures=pairs.failed_genuine),
        supported=True,
    )
