"""The mean over trainings of different seeds, with the interval that their spread allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from urface.types import UserError


@dataclass(frozen=True)
class SeedMean:
    """Mean of ``seeds`` values and Student's interval; the bounds are None for a single seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def half_width(self) -> float | None:
        """Half the interval, or None."""
        return None if self.high is None else self.high - self.mean

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def seed_mean(values: Sequence[float] | np.ndarray, level: float = 0.95) -> SeedMean:
    """The mean of one value a seed with its t-interval: the chance in training, not that in the test set.

    Raises UserError where there is no value or one is not finite.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise UserError("a mean over seeds needs one finite value a seed")
    mean = float(numbers.mean())
    count = len(numbers)
    if count < 2:
        return SeedMean(mean, None, None, count)
    half = (
        float(stdtrit(count - 1, (1 + level) / 2)) * float(numbers.std(ddof=1)) / math.sqrt(count)
    )
    return SeedMean(mean, mean - half, mean + half, count)
