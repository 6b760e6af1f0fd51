"""Whether a stated probability is true: reliability diagram, expected calibration error, Brier's score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from urface.metrics.bootstrap import RESAMPLES, bootstrap_interval_by_subject, resampled_means
from urface.metrics.comparisons import checked
from urface.metrics.intervals import clopper_pearson_bounds
from urface.types import UserError

Bins = Literal["width", "count"]


@dataclass(frozen=True, eq=False)
class Reliability:
    """N stated probabilities against what was true, in M bins.

    edges        [M + 1] of the bins; a bin holds its lower edge, the last one also its upper
    counts       [M] int64 trials;  events [M] int64, true ones
    probability  [M] mean stated, NaN in an empty bin
    share        [M] true, with Clopper-Pearson's bounds low, high [M]; NaN in an empty bin
    ece          expected calibration error: the mean over trials of |share - probability| of their bins
    brier        mean squared error of the probability
    trials       N, those without a probability left out; failures: how many those were

    The intervals of ``ece`` and ``brier`` draw people. Chance alone makes ``ece`` too large, and a resample
    of it larger still, so its interval spans the resamples and their reflection at the estimate, and it
    begins at 0 where chance would do as much to probabilities that are true. It errs to the wide side.
    """

    edges: np.ndarray
    counts: np.ndarray
    events: np.ndarray
    probability: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    ece: float
    ece_low: float
    ece_high: float
    brier: float
    brier_low: float
    brier_high: float
    trials: int
    failures: int

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; NaN is None."""
        said: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                said[name] = [None if np.isnan(x) else x for x in value.tolist()]
            else:
                said[name] = value
        return said


def reliability(
    probability: np.ndarray,
    truth: np.ndarray,
    subjects: np.ndarray,
    bins: int = 15,
    by: Bins = "width",
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Reliability:
    """The diagram of probabilities [N] in 0..1 (NaN = no score, left out and counted), truth [N] bool.

    subjects  [N], the person of each trial, or [N, 2], the two of each pair
    by        ``width``: bins of equal width (Guo et al. 2017); ``count``: of equally many trials

    Raises UserError where shapes do not fit, a probability lies outside 0..1, none is left, or there are
    fewer than two subjects.
    """
    probability, truth = checked(probability, truth)
    subjects = np.asarray(subjects)
    if subjects.shape not in {(len(truth),), (len(truth), 2)}:
        raise UserError(
            f"subjects must be [{len(truth)}] or [{len(truth)}, 2], got {list(subjects.shape)}"
        )
    known = ~np.isnan(probability)
    stated, truth, subjects = probability[known].astype(np.float64), truth[known], subjects[known]
    if not len(stated):
        raise UserError("no trial has a probability")
    if stated.min() < 0 or stated.max() > 1:
        raise UserError("a probability must lie from 0 to 1: calibrate the scores first")
    edges = _edges(stated, bins, by)
    place = np.clip(np.searchsorted(edges, stated, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(place, minlength=len(edges) - 1)
    events = np.bincount(place, truth, minlength=len(counts)).astype(np.int64)
    empty = counts == 0
    low, high = clopper_pearson_bounds(events, np.maximum(counts, 1), level)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, stated, minlength=len(counts)) / counts
        share = events / counts
    gap = truth - stated
    squares = gap**2
    ece, ece_low, ece_high = _expected_error(
        [gap * (place == one) for one in np.flatnonzero(~empty)], subjects, level, resamples, seed
    )
    brier_low, brier_high = bootstrap_interval_by_subject(
        squares, subjects, level=level, resamples=resamples, seed=seed
    )
    return Reliability(
        edges=edges,
        counts=counts,
        events=events,
        probability=mean,
        share=share,
        low=np.where(empty, np.nan, low),
        high=np.where(empty, np.nan, high),
        ece=ece,
        ece_low=ece_low,
        ece_high=ece_high,
        brier=float(squares.mean()),
        brier_low=brier_low,
        brier_high=brier_high,
        trials=len(stated),
        failures=int((~known).sum()),
    )


def _expected_error(
    gaps: list[np.ndarray], subjects: np.ndarray, level: float, resamples: int, seed: int
) -> tuple[float, float, float]:
    """sum_b |mean of gaps[b]| and its bounds; gaps [N] of one bin each, 0 for the trials of the others."""
    tails = [(1 - level) / 2, (1 + level) / 2]
    estimate, drawn, chance = 0.0, np.zeros(1), np.zeros(1)
    for gap in gaps:  # the same seed draws the same people for each bin
        means = resampled_means(gap, subjects, resamples=resamples, seed=seed)
        estimate += abs(float(gap.mean()))
        drawn = drawn + np.abs(means)
        chance = chance + np.abs(means - gap.mean())
    low, high = np.quantile(drawn, tails)
    if estimate <= np.quantile(chance, tails[1]):
        return estimate, 0.0, max(float(high), estimate)
    lowest = min(estimate, float(low), 2 * estimate - float(high))
    highest = max(estimate, float(high), 2 * estimate - float(low))
    return estimate, max(0.0, lowest), highest


def _edges(stated: np.ndarray, bins: int, by: Bins) -> np.ndarray:
    if bins < 1:
        raise UserError(f"a diagram needs 1 bin or more, got {bins}")
    if by == "width":
        return np.linspace(0.0, 1.0, bins + 1)
    if by != "count":
        raise UserError(f"bins are of equal width or count, got {by!r}")
    edges = np.unique(np.quantile(stated, np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 1 else np.array([edges[0], max(1.0, np.nextafter(edges[0], 2))])
