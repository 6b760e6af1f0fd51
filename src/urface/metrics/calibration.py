"""From a score to the probability of a match, and from a threshold to the error rates it brings elsewhere.

Both are fitted on one set of comparisons and tested on another (``reliability`` and ``transfer_threshold``):
a fit judged on its own data says nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from urface.metrics.comparisons import Comparisons, checked_scores, split
from urface.metrics.error_rates import rates_at_threshold
from urface.metrics.intervals import Rate
from urface.metrics.thresholds import MIN_ERRORS, finite_or_none
from urface.metrics.verification import tar_at_far
from urface.types import UserError

Fit = Literal["logistic", "isotonic"]
STEPS = 100  # Newton's method takes about 10


@dataclass(frozen=True, eq=False)
class ScoreCalibration:
    """The probability that a score is of one person, among comparisons of which ``prior`` are.

    Logistic: the log-odds are ``slope`` * score + ``offset``. Isotonic: straight lines between the points
    (``scores`` [P], ``values`` [P]), both rising, level outside them. genuine, impostor: the comparisons it
    was fitted on, those without a score left out.
    """

    method: Fit
    prior: float
    genuine: int
    impostor: int
    slope: float = math.nan
    offset: float = math.nan
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))
    values: np.ndarray = field(default_factory=lambda: np.empty(0))

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """In 0..1, of scores of any shape; NaN where the score is NaN."""
        scores = checked_scores(scores).astype(np.float64)
        if self.method == "logistic":
            odds: np.ndarray = expit(self.slope * scores + self.offset)
            return odds
        return np.interp(scores, self.scores, self.values)

    def at_prior(self, prior: float) -> ScoreCalibration:
        """The same evidence among comparisons of which ``prior`` are of one person: the log-odds shift.

        A probability of 0 or 1 stays so. Raises UserError where prior lies outside (0, 1).
        """
        shift = _log_odds(prior) - _log_odds(self.prior)
        if self.method == "logistic":
            return replace(self, prior=prior, offset=self.offset + shift)
        return replace(self, prior=prior, values=expit(logit(self.values) + shift))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        said: dict[str, Any] = {
            "method": self.method,
            "prior": self.prior,
            "genuine": self.genuine,
            "impostor": self.impostor,
        }
        if self.method == "logistic":
            return said | {"slope": self.slope, "offset": self.offset}
        return said | {"scores": self.scores.tolist(), "values": self.values.tolist()}


def fit_calibration(
    scores: np.ndarray, same: np.ndarray, method: Fit = "logistic", prior: float | None = None
) -> ScoreCalibration:
    """The calibration of scores [N] (larger = more alike, NaN = failed, left out) of pairs same [N] bool.

    prior  the share of genuine pairs that the probability shall stand for; None: theirs here. Genuine and
           impostor pairs are weighted to it.

    ``logistic`` is Platt's fit (1999), whose targets stop short of 0 and 1, so that sets without any overlap
    have a finite slope too. ``isotonic`` is the weighted least-squares rising step function (pool adjacent
    violators). Raises UserError as ``split``, where no pair of a kind has a score, prior lies outside (0, 1),
    or all scores are equal.
    """
    if method not in ("logistic", "isotonic"):
        raise UserError(f"a calibration is logistic or isotonic, got {method!r}")
    pairs = split(scores, same)
    genuine, impostor = (part.astype(np.float64) for part in (pairs.genuine, pairs.impostor))
    if not len(genuine) or not len(impostor):
        raise UserError("a calibration needs genuine and impostor pairs that have a score")
    share = len(genuine) / (len(genuine) + len(impostor))
    prior = share if prior is None else prior
    _log_odds(prior)
    kinds = np.repeat([1.0, 0.0], [len(genuine), len(impostor)])
    weights = np.where(kinds > 0, prior / share, (1 - prior) / (1 - share))
    known = np.concatenate([genuine, impostor])
    if known.min() == known.max():
        raise UserError("all scores are equal: there is nothing to calibrate")
    said = ScoreCalibration(method, prior, len(genuine), len(impostor))
    if method == "logistic":
        slope, offset = _platt(known, kinds, weights, pairs)
        return replace(said, slope=slope, offset=offset)
    points, values = _rising(known, kinds, weights)
    return replace(said, scores=points, values=values)


def _log_odds(prior: float) -> float:
    if not 0.0 < prior < 1.0:
        raise UserError(f"a prior must lie between 0 and 1, got {prior}")
    return float(logit(prior))


def _platt(
    scores: np.ndarray, kinds: np.ndarray, weights: np.ndarray, pairs: Comparisons
) -> tuple[float, float]:
    """Slope and offset that minimise the weighted cross-entropy with Platt's targets: Newton's method."""
    middle, spread = float(scores.mean()), float(scores.std())
    x = (scores - middle) / spread
    targets = np.where(
        kinds > 0,
        (len(pairs.genuine) + 1) / (len(pairs.genuine) + 2),
        1 / (len(pairs.impostor) + 2),
    )
    design = np.stack([x, np.ones_like(x)])

    def loss(at: np.ndarray) -> float:
        odds = at @ design
        return float(weights @ (np.logaddexp(0, odds) - targets * odds))

    at = np.zeros(2)
    for _ in range(STEPS):
        chance = expit(at @ design)
        gradient = design @ (weights * (chance - targets))
        curvature = (design * (weights * chance * (1 - chance))) @ design.T
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        size = 1.0
        while loss(at - size * step) > loss(at) and size > 1e-10:  # the loss is convex
            size /= 2
        at = at - size * step
        if np.abs(size * step).max() < 1e-12:
            break
    return float(at[0] / spread), float(at[1] - at[0] * middle / spread)


def _rising(
    scores: np.ndarray, kinds: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The points at which the fitted steps begin and end."""
    values, place = np.unique(scores, return_inverse=True)
    weight = np.bincount(place, weights)
    share = np.bincount(place, weights * kinds) / weight
    fitted = np.clip(isotonic_regression(share, weights=weight).x, 0.0, 1.0)
    # Inner points of a level say nothing more.
    ends = np.ones(len(values), bool)
    ends[1:-1] = (fitted[1:-1] != fitted[:-2]) | (fitted[1:-1] != fitted[2:])
    return values[ends], fitted[ends]


@dataclass(frozen=True)
class TransferredThreshold:
    """A threshold set on one set for a false-match rate, and what it brings on another.

    fitted     the FMR where it was set; withheld, with ``threshold`` None, where those data are too few
    fmr, fnmr  on the other set
    """

    fmr_target: float
    threshold: float | None
    fitted: Rate
    fmr: Rate
    fnmr: Rate

    @property
    def held(self) -> bool | None:
        """Whether the other set's interval reaches down to the target; None where a rate is withheld."""
        return None if self.fmr.low is None else self.fmr.low <= self.fmr_target

    def to_dict(self) -> dict[str, Any]:
        """The fields and ``held`` as JSON values; a threshold of +inf is None."""
        return {
            "fmr_target": self.fmr_target,
            "threshold": finite_or_none(self.threshold),
            "fitted": self.fitted.to_dict(),
            "fmr": self.fmr.to_dict(),
            "fnmr": self.fnmr.to_dict(),
            "held": self.held,
        }


def transfer_threshold(
    fit_scores: np.ndarray,
    fit_same: np.ndarray,
    scores: np.ndarray,
    same: np.ndarray,
    fmr: float,
    *,
    min_errors: int = MIN_ERRORS,
) -> TransferredThreshold:
    """The threshold of ``tar_at_far`` on the first set, judged on the second; errors as there."""
    at = tar_at_far(fit_scores, fit_same, fmr, min_errors=min_errors)
    if at.threshold is None:
        return TransferredThreshold(fmr, None, at.far, at.far, at.tar)
    return TransferredThreshold(
        fmr, at.threshold, at.far, *rates_at_threshold(scores, same, at.threshold)
    )
