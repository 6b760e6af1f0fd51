"""Curves over all thresholds, ROC and DET, and the two numbers taken from them: EER and AUC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata

from urface.metrics.comparisons import Comparisons, split
from urface.metrics.intervals import Rate, clopper_pearson, clopper_pearson_bounds, rate
from urface.metrics.thresholds import MIN_ERRORS, allowed_errors, finite_or_none
from urface.types import UserError


@dataclass(frozen=True, eq=False)
class Roc:
    """Exact counts at each of T thresholds: +inf, then every observed score downwards.

    false_matches, true_matches  [T] int64, comparisons with score >= threshold
    num_genuine, num_impostor    the denominators, failures included
    """

    thresholds: np.ndarray
    false_matches: np.ndarray
    true_matches: np.ndarray
    num_genuine: int
    num_impostor: int
    failed_genuine: int
    failed_impostor: int

    @property
    def fmr(self) -> np.ndarray:
        """[T] false-match rate, rising from 0."""
        return self.false_matches / self.num_impostor

    @property
    def fnmr(self) -> np.ndarray:
        """[T] false-non-match rate, falling from 1."""
        return (self.num_genuine - self.true_matches) / self.num_genuine


def roc(scores: np.ndarray, same: np.ndarray) -> Roc:
    """The counts of both errors at every threshold that makes a difference.

    scores [N] larger = more alike, NaN = failed; same [N] bool. Raises UserError as ``split`` does.
    The curve ends at the lowest score; with failures it stops short of accepting everything.
    """
    return _roc(split(scores, same))


def _roc(pairs: Comparisons) -> Roc:
    values, place = np.unique(np.concatenate([pairs.genuine, pairs.impostor]), return_inverse=True)
    num_scored = len(pairs.genuine)
    counts = [np.bincount(part, minlength=len(values)) for part in np.split(place, [num_scored])]
    true_matches, false_matches = (np.append(0, np.cumsum(count[::-1])) for count in counts)
    return Roc(
        thresholds=np.append(np.inf, values[::-1].astype(np.float64)),
        false_matches=false_matches,
        true_matches=true_matches,
        num_genuine=pairs.num_genuine,
        num_impostor=pairs.num_impostor,
        failed_genuine=pairs.failed_genuine,
        failed_impostor=pairs.failed_impostor,
    )


@dataclass(frozen=True)
class Eer:
    """The equal error rate, in 0..1, and the observed threshold that comes nearest to it.

    ``fmr`` and ``fnmr`` are the two rates at ``threshold``; [low, high] spans both their intervals,
    which is wider than 95% needs. ``value`` is None, with a reason, where failures keep FNMR above
    FMR at every threshold.
    """

    value: float | None
    low: float | None
    high: float | None
    threshold: float
    fmr: Rate
    fnmr: Rate
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; a threshold that accepts nothing (+inf) is None."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "threshold": finite_or_none(self.threshold),
            "fmr": self.fmr.to_dict(),
            "fnmr": self.fnmr.to_dict(),
            "reason": self.reason,
        }


def eer(scores: np.ndarray, same: np.ndarray) -> Eer:
    """Where the ROC, its points joined by straight lines, has FMR = FNMR.

    The lines are the same convention as half a point for a tie in ``auc``; the crossing is unique,
    since FMR falls and FNMR rises with the threshold. Arguments and errors as ``roc``.
    """
    curve = roc(scores, same)
    fmr, fnmr = curve.fmr, curve.fnmr
    gap = fmr - fnmr  # rises along the curve, from -1
    near = int(np.argmin(np.abs(gap)))
    threshold = float(curve.thresholds[near])
    misses = curve.num_genuine - int(curve.true_matches[near])
    at_fmr = rate(curve.false_matches[near], curve.num_impostor, failures=curve.failed_impostor)
    at_fnmr = rate(misses, curve.num_genuine, failures=curve.failed_genuine)
    if gap[-1] < 0:
        reason = "so many comparisons failed that FMR stays below FNMR at every threshold"
        return Eer(None, None, None, threshold, at_fmr, at_fnmr, reason)
    after = int(np.argmax(gap >= 0))  # never 0: the gap starts at -1
    part = gap[after - 1] / (gap[after - 1] - gap[after])
    value = float(fmr[after - 1] + part * (fmr[after] - fmr[after - 1]))
    bounds = [value]
    for nearest in (at_fmr, at_fnmr):
        bounds.extend(clopper_pearson(nearest.events, nearest.trials))
    return Eer(value, min(bounds), max(bounds), threshold, at_fmr, at_fnmr)


@dataclass(frozen=True)
class Auc:
    """The area under the ROC with its interval and the counts it rests on, failures included."""

    value: float
    low: float
    high: float
    num_genuine: int
    num_impostor: int
    failed_genuine: int
    failed_impostor: int


def auc(scores: np.ndarray, same: np.ndarray, level: float = 0.95) -> Auc:
    """The chance that a genuine score lies above an impostor score, a tie counting one half.

    A failed comparison lies below every score. The interval takes comparisons as independent:
    DeLong's variance (DeLong et al. 1988) on the logit scale. That variance is 0 at an area of 0 or
    1, where the interval is Clopper-Pearson's for min(genuine, impostor) disjoint couples instead.
    Arguments and errors as ``roc``.
    """
    pairs = split(scores, same)
    counts = (pairs.num_genuine, pairs.num_impostor, pairs.failed_genuine, pairs.failed_impostor)
    genuine, impostor = (
        np.concatenate([part.astype(np.float64), np.full(failed, -np.inf)])
        for part, failed in (
            (pairs.genuine, pairs.failed_genuine),
            (pairs.impostor, pairs.failed_impostor),
        )
    )
    ranks = rankdata(np.concatenate([genuine, impostor]))
    # Per comparison: the share of the other kind that it is on the right side of.
    above = (ranks[: len(genuine)] - rankdata(genuine)) / len(impostor)
    below = 1.0 - (ranks[len(genuine) :] - rankdata(impostor)) / len(genuine)
    value = float(above.mean())
    couples = min(len(genuine), len(impostor))
    if np.all(above == above[0]) and above[0] in (0.0, 1.0):
        return Auc(value, *clopper_pearson(round(value) * couples, couples, level), *counts)
    if couples < 2:
        return Auc(value, 0.0, 1.0, *counts)  # one comparison of a kind says nothing of its spread
    error = math.sqrt(above.var(ddof=1) / len(genuine) + below.var(ddof=1) / len(impostor))
    reach = float(ndtri((1.0 + level) / 2.0)) * error / (value * (1.0 - value))
    return Auc(
        value, float(expit(logit(value) - reach)), float(expit(logit(value) + reach)), *counts
    )


@dataclass(frozen=True, eq=False)
class Det:
    """FNMR over FMR at P thresholds, FMR rising: what a DET plot draws.

    fmr [P] is the rate achieved, never above the one aimed at; fnmr, low, high [P] with its
    interval.
    """

    fmr: np.ndarray
    fnmr: np.ndarray
    low: np.ndarray
    high: np.ndarray
    num_genuine: int
    num_impostor: int
    failed_genuine: int
    failed_impostor: int


def det(
    scores: np.ndarray, same: np.ndarray, points: int = 200, *, min_errors: int = MIN_ERRORS
) -> Det:
    """The supported part of the DET curve, at up to ``points`` rates spread by logarithm.

    It starts where ``min_errors`` false matches are allowed. Arguments and errors as ``roc``, and
    UserError where there are fewer than ``min_errors`` impostor comparisons.
    """
    pairs = split(scores, same)
    if pairs.num_impostor < min_errors:
        raise UserError(
            f"a DET curve needs {min_errors} impostor comparisons or more, got {pairs.num_impostor}"
        )
    lowest = min_errors / pairs.num_impostor
    targets = np.minimum(np.geomspace(lowest, 1.0, points), 1.0)
    allowed = np.unique([allowed_errors(target, pairs.num_impostor) for target in targets])
    impostor, genuine = np.sort(pairs.impostor), np.sort(pairs.genuine)
    # The score that would overshoot; -inf where all that have a score may be accepted.
    place = len(impostor) - 1 - allowed
    padded = np.append(impostor, -np.inf)  # place -1 and below
    overshooting = padded[np.where(place >= 0, place, len(impostor))]
    false_matches = len(impostor) - np.searchsorted(impostor, overshooting, side="right")
    missed = pairs.failed_genuine + np.searchsorted(genuine, overshooting, side="right")
    low, high = clopper_pearson_bounds(missed, np.full_like(missed, pairs.num_genuine))
    return Det(
        fmr=false_matches / pairs.num_impostor,
        fnmr=missed / pairs.num_genuine,
        low=low,
        high=high,
        num_genuine=pairs.num_genuine,
        num_impostor=pairs.num_impostor,
        failed_genuine=pairs.failed_genuine,
        failed_impostor=pairs.failed_impostor,
    )
