"""Whether one system is better than another: both judged on the same resamples of the test people.

The scheme: of the S people of a test set, S are drawn with replacement, B times. A probe weighs as
often as its person was drawn; a pair of two people weighs the product of both counts, a pair of one
person's images that person's count. Every statistic (a mean of right answers, TPIR at a FPIR, an area
under an error-versus-discard curve) is taken anew under each resample's weights, the threshold of
TPIR too; what stays fixed is the gallery, the training and the thresholds of the folds. Statistics of
several systems, seeds and conditions computed with one ``SubjectDraws`` share the resamples, so
differences and means of them may be taken resample by resample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from urface.metrics.identification import SearchOutcomes
from urface.metrics.rejection import SHARES
from urface.types import UserError

RESAMPLES = 2000
CELLS_AT_ONCE = 1 << 21  # 16 MB of weights at a time


@dataclass(frozen=True)
class SubjectDraws:
    """B = ``resamples`` resamples of S = ``subjects`` people, numbered from 0. The same seed draws alike."""

    subjects: int
    resamples: int = RESAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.subjects < 2:
            raise UserError(f"resampling subjects needs two of them or more, got {self.subjects}")
        if self.resamples < 1:
            raise UserError(f"resamples must be 1 or more, got {self.resamples}")

    @cached_property
    def counts(self) -> np.ndarray:
        """[B, S] uint8, how often each person was drawn."""
        rng = np.random.default_rng(self.seed)
        counts = np.empty((self.resamples, self.subjects), np.uint8)
        for row in counts:
            drawn = rng.integers(0, self.subjects, self.subjects)
            row[:] = np.bincount(drawn, minlength=self.subjects)
        return counts

    def means(self, values: np.ndarray, subjects: np.ndarray) -> np.ndarray:
        """[B] weighted means of ``values`` [N]; NaN where a resample drew no trial.

        subjects  [N] the person of each trial, or [N, 2] the two of each pair
        """
        values = np.asarray(values, np.float64)
        subjects = self._checked(subjects, len(values))
        if subjects.ndim == 1:
            total = self._by_person(subjects, np.ones(len(values)))
            return _ratio(self._by_person(subjects, values), total)
        weights = (w.astype(np.float64) for w in self._weights(subjects))
        parts = [_ratio(w @ values, w.sum(1)) for w in weights]
        return np.concatenate(parts)

    def tpir(self, outcomes: SearchOutcomes, subjects: np.ndarray, fpir: float) -> np.ndarray:
        """[B] TPIR at FPIR at most ``fpir``, as ``tpir_at_fpir`` takes it; ``subjects`` [N] of the probes.

        The threshold is found under each resample's weights. NaN where a resample drew no mated or no
        non-mated probe.
        """
        subjects = self._checked(subjects, len(outcomes.mated))
        mated = outcomes.mated
        alarm = np.flatnonzero(~mated & ~np.isnan(outcomes.other))
        alarm = alarm[np.argsort(-outcomes.other[alarm], kind="stable")]
        first = np.flatnonzero(mated & ~np.isnan(outcomes.mate) & (outcomes.better == 0))
        first = first[np.argsort(-outcomes.mate[first], kind="stable")]
        ones = np.ones(len(mated))
        allowed = fpir * self._by_person(subjects[~mated], ones[~mated])
        people = self._by_person(subjects[mated], ones[mated])
        hits = np.empty(self.resamples)
        # Only the highest alarms can hold the threshold: not many more than the allowed share of them.
        top = min(len(alarm), int(1.4 * fpir * np.count_nonzero(~mated)) + 50)
        start = 0
        for counts in self._chunks(top + len(first)):
            rows = slice(start, start + len(counts))
            start += len(counts)
            hits[rows] = _hits(counts, allowed[rows], outcomes, alarm, first, subjects, top)
        hits[allowed == 0] = np.nan
        return _ratio(hits, people)

    def discard_areas(
        self,
        errors: np.ndarray,
        uncertainty: np.ndarray,
        subjects: np.ndarray,
        shares: Sequence[float] = SHARES,
    ) -> np.ndarray:
        """[B] areas under error against discard (``error_versus_discard``), a trial weighing as drawn.

        errors [N] bool; uncertainty [N], NaN is set aside first; subjects [N] or [N, 2]. Of equally
        unsure trials the right ones are set aside first.
        """
        errors = np.asarray(errors, bool)
        subjects = self._checked(subjects, len(errors))
        order = np.lexsort((~errors, uncertainty))
        steps = np.asarray(shares, np.float64)
        parts = [_areas(w, errors[order], steps) for w in self._weights(subjects[order])]
        return np.concatenate(parts)

    def _checked(self, subjects: np.ndarray, trials: int) -> np.ndarray:
        subjects = np.asarray(subjects)
        if subjects.shape not in {(trials,), (trials, 2)}:
            raise UserError(
                f"subjects must be [{trials}] or [{trials}, 2], got {list(subjects.shape)}"
            )
        if not trials or subjects.min() < 0 or subjects.max() >= self.subjects:
            raise UserError(f"subjects must be numbers from 0 to {self.subjects - 1}, one a trial")
        return subjects

    def _chunks(self, columns: int) -> Iterator[np.ndarray]:
        rows = max(1, CELLS_AT_ONCE // max(columns, 1))
        for start in range(0, self.resamples, rows):
            yield self.counts[start : start + rows]

    def _weights(self, subjects: np.ndarray) -> Iterator[np.ndarray]:
        """Blocks [b, N] uint16 of the trials' weights, in the order of the resamples."""
        for counts in self._chunks(len(subjects)):
            if subjects.ndim == 1:
                yield counts[:, subjects].astype(np.uint16)
                continue
            weights = counts[:, subjects[:, 0]].astype(np.uint16)
            differ = np.flatnonzero(subjects[:, 0] != subjects[:, 1])
            weights[:, differ] *= counts[:, subjects[differ, 1]]
            yield weights

    def _by_person(self, subjects: np.ndarray, values: np.ndarray) -> np.ndarray:
        """[B] sums of ``values`` [N] under the weights of single people."""
        sums = np.bincount(subjects, values, minlength=self.subjects)
        return np.concatenate([counts @ sums for counts in self._chunks(self.subjects)])


def _hits(
    counts: np.ndarray,
    allowed: np.ndarray,
    outcomes: SearchOutcomes,
    alarm: np.ndarray,
    first: np.ndarray,
    subjects: np.ndarray,
    top: int,
) -> np.ndarray:
    """[b] weight of the mated probes found above the threshold; alarm and first from the highest score."""
    weight = np.cumsum(counts[:, subjects[alarm[:top]]], axis=1, dtype=np.int32)
    # As many alarms as stay within what is allowed; the next one's score and all below are refused.
    place = (weight <= allowed[:, None] + 1e-9).sum(1)
    if top < len(alarm) and (place == top).any():
        return _hits(counts, allowed, outcomes, alarm, first, subjects, len(alarm))
    scores = np.append(outcomes.other[alarm], -np.inf)
    accepted = np.searchsorted(-outcomes.mate[first], -scores[place], side="left")
    # Who is accepted in every resample is summed by person; one by one only those in between.
    least, most = int(accepted.min()), int(accepted.max())
    sums = np.bincount(subjects[first[:least]], minlength=counts.shape[1]).astype(np.float64)
    between = np.zeros((len(counts), most - least + 1), np.int32)
    np.cumsum(counts[:, subjects[first[least:most]]], axis=1, out=between[:, 1:])
    hits: np.ndarray = counts @ sums + between[np.arange(len(counts)), accepted - least]
    return hits


def discard_area(
    errors: np.ndarray, uncertainty: np.ndarray, shares: Sequence[float] = SHARES
) -> float:
    """The area that ``SubjectDraws.discard_areas`` resamples, of the trials as they are.

    As ``error_versus_discard`` has it, and also for an uncertainty that is flat.
    """
    errors = np.asarray(errors, bool)
    order = np.lexsort((~errors, uncertainty))
    ones = np.ones((1, len(errors)), np.uint16)
    return float(_areas(ones, errors[order], np.asarray(shares, np.float64))[0])


def _areas(weights: np.ndarray, errors: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """[b] mean error along the curve for weights [b, N] of ``errors`` [N], the surest first."""
    kept = np.cumsum(weights, axis=1, dtype=np.int64)
    total = kept[:, -1]
    # Errors are few: their own running sum, and how many of them come up to each place.
    places = np.flatnonzero(errors)
    wrong = np.zeros((len(weights), len(places) + 1), np.int64)
    np.cumsum(weights[:, places], axis=1, out=wrong[:, 1:])
    upto = np.cumsum(errors)
    heights = np.empty((len(weights), len(steps)))
    # Whole numbers, for a search among whole numbers: others would be converted row by row.
    wanted = np.ceil((1 - steps) * total[:, None] * (1 - 1e-12)).astype(np.int64)
    for row in range(len(weights)):
        at = np.searchsorted(kept[row], wanted[row])
        at = np.minimum(at, len(errors) - 1)
        heights[row] = wrong[row, upto[at]] / np.maximum(kept[row, at], 1)
    area = np.trapezoid(heights, steps, axis=1) / (steps[-1] - steps[0])
    return np.where(total > 0, area, np.nan)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)


@dataclass(frozen=True)
class Difference:
    """A statistic of system a less that of b: observed, its interval, and the two-sided p.

    p is twice the share of resamples on the far side of 0, counting the data themselves as one, so
    never below 2 / (B + 1); it is 1 where the systems never differ.
    """

    difference: float
    low: float
    high: float
    p: float

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def difference(
    observed: float, a: np.ndarray, b: np.ndarray | float = 0.0, level: float = 0.95
) -> Difference:
    """``observed`` a - b, and what the resamples [B] of both, drawn alike, say of it.

    Resamples in which either has no value are left out. Raises UserError where none is left.
    """
    if not 0.0 < level < 1.0:
        raise UserError(f"the level of an interval must lie between 0 and 1, got {level}")
    values = np.asarray(a, np.float64) - b
    values = values[~np.isnan(values)]
    if not len(values):
        raise UserError("too few subjects: no resample of them holds a trial, draw more resamples")
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    far_side = min(np.count_nonzero(values <= 0), np.count_nonzero(values >= 0))
    p = min(1.0, 2.0 * (far_side + 1) / (len(values) + 1))
    return Difference(float(observed), float(low), float(high), p)


def paired_difference(
    a: np.ndarray, b: np.ndarray, subjects: np.ndarray, draws: SubjectDraws
) -> Difference:
    """The mean of ``a`` less that of ``b``, both [N] or [R, N] of R trainings judged on the same trials.

    Values are right answers (bool) or any numbers; subjects [N] or [N, 2]. The trainings are averaged
    before people are drawn: the interval covers the chance in the test people, not that in training.
    """
    a, b = (np.atleast_2d(np.asarray(x, np.float64)).mean(0) for x in (a, b))
    if a.shape != b.shape:
        raise UserError(
            f"both systems must be judged on the same trials, got {len(a)} and {len(b)} answers"
        )
    advantage = a - b
    return difference(float(advantage.mean()), draws.means(advantage, subjects))
