"""A rate with its counts and its confidence interval, or the reason why it is withheld."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv

from urface.types import UserError


@dataclass(frozen=True)
class Rate:
    """``events`` of ``trials``, as a share in 0..1 with the bounds of its interval.

    ``value``, ``low`` and ``high`` are None where the data cannot support the rate; ``reason`` then
    says why, and ``events`` is what was counted up to there (0 where nothing was).
    ``failures`` of the trials had no score; they are in ``trials`` and judged like the others.
    """

    value: float | None
    low: float | None
    high: float | None
    events: int
    trials: int
    reason: str = ""
    failures: int = 0

    def format(self, digits: int = 1) -> str:
        """In percent, such as ``84.2 [83.2, 85.1] (5052/6000)``, or ``withheld: <reason>``."""
        if self.value is None or self.low is None or self.high is None:
            return f"withheld: {self.reason}"
        value, low, high = (f"{100 * x:.{digits}f}" for x in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}] ({self.events}/{self.trials})"

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def clopper_pearson(events: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Bounds of the exact binomial interval for ``events`` of ``trials`` independent trials.

    It covers the true rate with a chance of at least ``level`` (Clopper and Pearson 1934). Pairs
    that share a person are not independent: see ``bootstrap_interval_by_subject`` for those. Raises
    UserError where trials < 1, events lie outside 0..trials, or level outside (0, 1).
    """
    low, high = clopper_pearson_bounds(np.array([events]), np.array([trials]), level)
    return float(low[0]), float(high[0])


def clopper_pearson_bounds(
    events: np.ndarray, trials: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """``clopper_pearson`` for arrays of counts: (low, high), each of their shape."""
    if not 0.0 < level < 1.0:
        raise UserError(f"the level of an interval must lie between 0 and 1, got {level}")
    if np.any(trials < 1) or np.any(events < 0) or np.any(events > trials):
        raise UserError("an interval needs 1 trial or more, and from 0 to that many events")
    tail = (1.0 - level) / 2.0
    misses = trials - events
    # max(., 1) only keeps the unused branch of where() inside the domain of the inverse.
    low = betaincinv(np.maximum(events, 1), misses + 1, tail)
    high = betaincinv(events + 1, np.maximum(misses, 1), 1.0 - tail)
    return np.where(events == 0, 0.0, low), np.where(misses == 0, 1.0, high)


def rate(
    events: int, trials: int, min_trials: int = 1, *, failures: int = 0, level: float = 0.95
) -> Rate:
    """``events`` of ``trials`` with its Clopper-Pearson interval; withheld below ``min_trials``."""
    events, trials, failures = int(events), int(trials), int(failures)
    if trials < max(min_trials, 1):
        reason = f"{trials} trials, at least {max(min_trials, 1)} are needed"
        return withheld(reason, trials, events=events, failures=failures)
    low, high = clopper_pearson(events, trials, level)
    return Rate(events / trials, low, high, events, trials, failures=failures)


def withheld(reason: str, trials: int, *, events: int = 0, failures: int = 0) -> Rate:
    """A rate that is not given, and why."""
    return Rate(None, None, None, events, trials, reason, failures)
