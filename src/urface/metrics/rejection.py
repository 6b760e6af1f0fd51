"""Whether an uncertainty is useful: errors should go when the least sure trials are set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.metrics.comparisons import checked_flags, checked_scores
from urface.metrics.intervals import Rate, rate
from urface.types import UserError

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
FLAT = 0.01  # a coefficient of variation below this is a constant with noise (goal G66)


@dataclass(frozen=True)
class DiscardCurve:
    """The error rate among the trials kept, by the share set aside.

    shares, rates       P each; ``rates`` carry intervals and counts of the kept trials
    area                mean error rate along the curve (trapezoids over ``shares``)
    area_best           the same if every error were set aside before any right answer
    area_random         the same if trials were set aside blindly: the error rate of all
    failures            trials without an uncertainty (NaN), set aside first
    spread              coefficient of variation of the uncertainty
    """

    shares: tuple[float, ...]
    rates: tuple[Rate, ...]
    area: float
    area_best: float
    area_random: float
    failures: int
    spread: float

    @property
    def gain(self) -> float | None:
        """1 if errors go first, 0 if chance does as well, below 0 if worse; None without errors."""
        reach = self.area_random - self.area_best
        return (self.area_random - self.area) / reach if reach > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """The fields and ``gain`` as JSON values."""
        return {
            "shares": list(self.shares),
            "rates": [rate.to_dict() for rate in self.rates],
            "area": self.area,
            "area_best": self.area_best,
            "area_random": self.area_random,
            "gain": self.gain,
            "failures": self.failures,
            "spread": self.spread,
        }


def error_versus_discard(
    errors: np.ndarray,
    uncertainty: np.ndarray,
    shares: Sequence[float] = SHARES,
    *,
    log_scale: bool = False,
) -> DiscardCurve:
    """Error rate among the kept trials when a share of the least sure ones is set aside.

    errors       [N] bool, whether the trial was judged wrong
    uncertainty  [N] larger = less sure; NaN = no embedding, set aside first. Above 0, such as a
                 standard deviation, or with ``log_scale`` the logarithm of such a quantity
    shares       P rising shares in [0, 1); floor(share * N) trials are set aside

    Among equally unsure trials the right ones are set aside first, so ties never flatter. Raises
    UserError where shapes or shares do not fit, and where the uncertainty is flat: a coefficient of
    variation below 1% is a constant, and its curve would show nothing but noise.
    """
    errors, uncertainty = checked_flags(errors, "errors"), checked_scores(uncertainty)
    if errors.ndim != 1 or errors.shape != uncertainty.shape or not len(errors):
        raise UserError(
            "errors and uncertainty must be [N] each with N of 1 or more, got "
            f"{list(errors.shape)} and {list(uncertainty.shape)}"
        )
    steps = np.asarray(shares, dtype=np.float64)
    if len(steps) < 2 or not (np.diff(steps) > 0).all() or steps[0] < 0 or steps[-1] >= 1:
        raise UserError("shares must be two or more, rising, and in [0, 1)")
    spread = coefficient_of_variation(uncertainty, log_scale=log_scale)
    if spread < FLAT:
        raise UserError(
            f"the uncertainty is flat: it varies by {100 * spread:.2g}% of its mean, below "
            f"{100 * FLAT:g}%. Train the uncertainty head before judging it"
        )
    # Surest first; NaN sorts last. Errors first among ties, so that right answers go before them.
    by_certainty = errors[np.lexsort((~errors, uncertainty))]
    kept = len(errors) - np.floor(steps * len(errors) + 1e-9).astype(np.int64)
    wrong = np.cumsum(by_certainty)[kept - 1]
    total = int(errors.sum())
    wrong_at_best = np.maximum(0, total - (len(errors) - kept))
    return DiscardCurve(
        shares=tuple(steps.tolist()),
        rates=tuple(rate(w, k) for w, k in zip(wrong, kept, strict=True)),
        area=_mean_height(wrong / kept, steps),
        area_best=_mean_height(wrong_at_best / kept, steps),
        area_random=total / len(errors),
        failures=int(np.isnan(uncertainty).sum()),
        spread=spread,
    )


def coefficient_of_variation(uncertainty: np.ndarray, *, log_scale: bool = False) -> float:
    """Standard deviation over mean of the uncertainties that exist; of their exp for ``log_scale``.

    Raises UserError where none exists, or one is 0 or less without ``log_scale``.
    """
    known = uncertainty[~np.isnan(uncertainty)].astype(np.float64)
    if not len(known):
        raise UserError("no trial has an uncertainty")
    if log_scale:
        known = np.exp(known - known.max())  # a common factor changes nothing and cannot overflow
    elif (known <= 0).any():
        raise UserError("an uncertainty must be above 0: pass log_scale=True for logarithms")
    return float(known.std() / known.mean())


def _mean_height(heights: np.ndarray, places: np.ndarray) -> float:
    return float(np.trapezoid(heights, places) / (places[-1] - places[0]))
