"""How sure the area and the gain of error against discard are: their intervals by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.metrics.bootstrap import CELLS_AT_ONCE, RESAMPLES, draw_subjects
from urface.metrics.comparisons import checked_flags, checked_scores
from urface.metrics.rejection import SHARES
from urface.types import UserError


@dataclass(frozen=True)
class DiscardInterval:
    """Bounds of a ``DiscardCurve``'s area and gain; of the gain None where no resample has errors."""

    area_low: float
    area_high: float
    gain_low: float | None
    gain_high: float | None
    subjects: int
    resamples: int

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dict(vars(self))


def discard_interval_by_subject(
    errors: np.ndarray,
    uncertainty: np.ndarray,
    subjects: np.ndarray,
    shares: Sequence[float] = SHARES,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> DiscardInterval:
    """Percentile bounds over resamples of the subjects; arguments as ``error_versus_discard``.

    subjects [N], the person of each trial, or [N, 2], the two of each pair: a pair of two people weighs the
    product of their draws. In each resample the share set aside is one of the weight. Time is N times
    ``resamples``. Raises UserError where shapes do not fit or there are fewer than two subjects.
    """
    errors, uncertainty = checked_flags(errors, "errors"), checked_scores(uncertainty)
    subjects = np.asarray(subjects)
    if (
        subjects.shape not in {(len(errors),), (len(errors), 2)}
        or uncertainty.shape != errors.shape
    ):
        raise UserError("errors and uncertainty must be [N], subjects [N] or [N, 2]")
    names, codes = np.unique(subjects, return_inverse=True)
    if len(names) < 2:
        raise UserError(f"resampling subjects needs two of them or more, got {len(names)}")
    order = np.lexsort((~errors, uncertainty))  # as error_versus_discard: surest first
    codes, wrong = codes.reshape(len(errors), -1)[order], errors[order]
    steps = np.asarray(shares, np.float64)
    rng = np.random.default_rng(seed)
    rows = max(1, CELLS_AT_ONCE // max(len(errors), len(names)))
    areas, gains = [], []
    for start in range(0, resamples, rows):
        drawn = draw_subjects(rng, min(rows, resamples - start), len(names))
        area, gain = _resampled(drawn, codes, wrong, steps)
        areas.append(area)
        gains.append(gain)
    area, gain = np.concatenate(areas), np.concatenate(gains)
    if not len(area):
        raise UserError("too few subjects: no resample of them holds a trial")
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(area, tails).tolist()
    gain_low, gain_high = np.quantile(gain, tails).tolist() if len(gain) else (None, None)
    return DiscardInterval(low, high, gain_low, gain_high, len(names), resamples)


def _resampled(
    drawn: np.ndarray, codes: np.ndarray, wrong: np.ndarray, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Areas of the resamples [B, S] that hold a trial, and gains of those whose order can matter."""
    weight = drawn[:, codes[:, 0]]
    two = codes[:, 0] != codes[:, -1]
    if two.any():
        # Two people's draws are not independent: their product is S / (S - 1) too small on average, which
        # would make pairs of one person, and so the errors among them, too many.
        people = drawn.shape[1]
        both = weight * drawn[:, codes[:, -1]] * (people / (people - 1))
        weight = np.where(two, both, weight)
    held = np.cumsum(weight, axis=1)
    false = np.cumsum(weight * wrong, axis=1)
    some = held[:, -1] > 0
    held, false = held[some], false[some]
    if not len(held):
        return np.empty(0), np.empty(0)
    total, errors = held[:, -1:], false[:, -1:]
    kept = total * (1 - steps)
    at = np.stack([np.searchsorted(row, k) for row, k in zip(held, kept, strict=True)])
    at = np.minimum(at, held.shape[1] - 1)
    # Of the trial on the edge a part is kept.
    over = np.take_along_axis(held, at, 1) - kept
    height = (np.take_along_axis(false, at, 1) - over * wrong[at]) / kept
    best = np.maximum(0, errors - (total - kept)) / kept
    width = steps[-1] - steps[0]
    area = np.trapezoid(height, steps, axis=1) / width
    blind = (errors / total)[:, 0]
    reach = blind - np.trapezoid(best, steps, axis=1) / width
    good = reach > 1e-12
    return area, (blind[good] - area[good]) / reach[good]
