"""Intervals that draw people, not pairs: pairs that share a person are not independent.

Subjects are drawn with replacement; a pair of two people weighs the product of how often each was
drawn, times S / (S - 1) for S people, a pair of one person's images how often that person was. The
sums of all B resamples are products of a [B, S] matrix with sparse [S, S] ones, so no pair is visited
per resample.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array

from urface.metrics.comparisons import checked_flags
from urface.metrics.curves import Auc, auc
from urface.metrics.intervals import Rate, clopper_pearson
from urface.types import UserError

RESAMPLES = 1000
CELLS_AT_ONCE = 1 << 22  # 32 MB of draws at a time, however many subjects there are


def bootstrap_interval_by_subject(
    values: np.ndarray,
    subjects: np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bounds for the mean of ``values`` over resamples of the subjects.

    values    [N] numbers or bool, one per trial (such as whether a pair was judged right)
    subjects  [N], the person of each trial, or [N, 2], the two people of each pair

    Pairs of different people get the variance of both draws, which errs to the wide side. Where all
    values are equal the bounds are equal too: see ``rate_by_subject`` for rates. Raises UserError
    where the shapes do not fit, a value is not finite, or there are fewer than two subjects.
    """
    means = resampled_means(values, subjects, resamples=resamples, seed=seed)
    return _percentiles(means, level)


def rate_by_subject(
    events: np.ndarray,
    subjects: np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    failures: int = 0,
) -> Rate:
    """The share of True in ``events`` [N] with its interval by subject; arguments as above.

    Where every trial came out alike no resample can differ, so the bounds are then
    Clopper-Pearson's for as many trials as there are subjects.
    """
    events = checked_flags(events, "events")
    low, high = bootstrap_interval_by_subject(
        events, subjects, level=level, resamples=resamples, seed=seed
    )
    if events.all() or not events.any():
        num_subjects = len(np.unique(subjects))
        low, high = clopper_pearson(num_subjects * int(events[0]), num_subjects, level)
    count = int(events.sum())
    return Rate(count / len(events), low, high, count, len(events), failures=failures)


@dataclass(frozen=True)
class PairedDifference:
    """Right answers of system a less those of b on the same trials, as a share of the trials.

    [low, high] and the two-sided p come from resampling subjects. ``only_a`` and ``only_b`` count
    the trials that one system alone got right.
    """

    difference: float
    low: float
    high: float
    p: float
    only_a: int
    only_b: int
    trials: int
    subjects: int

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def paired_bootstrap_difference(
    correct_a: np.ndarray,
    correct_b: np.ndarray,
    subjects: np.ndarray,
    seed: int = 0,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> PairedDifference:
    """Whether system a is right more often than b, both judged on the same N trials.

    correct_a, correct_b [N] bool; subjects [N] or [N, 2] as in ``bootstrap_interval_by_subject``. p
    is twice the share of resamples on the far side of 0, counting the data themselves as one
    resample, so it is never below 2 / (resamples + 1); where the systems never differ it is 1.
    Errors as above.
    """
    correct_a = checked_flags(correct_a, "correct_a")
    correct_b = checked_flags(correct_b, "correct_b")
    if correct_a.shape != correct_b.shape:
        raise UserError(
            f"both systems must be judged on the same trials, got {list(correct_a.shape)} and "
            f"{list(correct_b.shape)} answers"
        )
    advantage = correct_a.astype(np.float64) - correct_b
    means = resampled_means(advantage, subjects, resamples=resamples, seed=seed)
    low, high = _percentiles(means, level)
    far_side = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    return PairedDifference(
        difference=float(advantage.mean()),
        low=low,
        high=high,
        p=min(1.0, 2.0 * (far_side + 1) / (len(means) + 1)),
        only_a=int(np.count_nonzero(advantage > 0)),
        only_b=int(np.count_nonzero(advantage < 0)),
        trials=len(advantage),
        subjects=len(np.unique(subjects)),
    )


def auc_by_subject(
    scores: np.ndarray,
    truth: np.ndarray,
    subjects: np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Auc:
    """The chance that a true trial scores above a false one, its interval by subject.

    scores [N] finite, truth [N] bool, subjects [N], the person of each trial; ``num_genuine`` of the
    result counts the true ones. A tie counts one half. At an area of 0 or 1 no resample can differ: the
    bounds are then Clopper-Pearson's for as many couples as the rarer kind has subjects. Raises
    UserError where the shapes do not fit, a score is not finite, all trials are of one kind, or there are
    fewer than two subjects.
    """
    scores, truth = np.asarray(scores, np.float64), checked_flags(truth, "truth")
    subjects = np.asarray(subjects)
    if subjects.shape != scores.shape or not np.isfinite(scores).all():
        raise UserError("scores must be [N] and finite, and subjects [N]")
    whole = auc(scores, truth, level)
    names, codes = np.unique(subjects, return_inverse=True)
    if len(names) < 2:
        raise UserError(f"resampling subjects needs two of them or more, got {len(names)}")
    if whole.value in (0.0, 1.0):
        couples = min(len(np.unique(codes[truth])), len(np.unique(codes[~truth])))
        low, high = clopper_pearson(round(whole.value) * couples, couples, level)
        return replace(whole, low=low, high=high)
    order = np.argsort(scores, kind="stable")
    codes, rising, sorted_scores = codes[order], truth[order], scores[order]
    starts = np.flatnonzero(np.append(True, np.diff(sorted_scores) > 0))  # of each distinct score
    rng = np.random.default_rng(seed)
    rows_at_once = max(1, CELLS_AT_ONCE // len(scores))
    areas = []
    for start in range(0, resamples, rows_at_once):
        weights = draw_subjects(rng, min(rows_at_once, resamples - start), len(names))[:, codes]
        true = np.add.reduceat(weights * rising, starts, axis=1)
        false = np.add.reduceat(weights * ~rising, starts, axis=1)
        couples_won = (true * (np.cumsum(false, axis=1) - 0.5 * false)).sum(1)
        couples_all = true.sum(1) * false.sum(1)
        areas.append(couples_won[couples_all > 0] / couples_all[couples_all > 0])
    low, high = _percentiles(np.concatenate(areas), level)
    return replace(whole, low=low, high=high)


def resampled_means(
    values: np.ndarray, subjects: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """[at most B] weighted means of ``values``, one per resample of the subjects.

    A resample that drew no trial at all is left out; UserError where none is left.
    """
    values = np.asarray(values, dtype=np.float64)
    subjects = np.asarray(subjects)
    if values.ndim != 1 or subjects.shape not in {(len(values),), (len(values), 2)}:
        raise UserError(
            "values must be [N] and subjects [N] or [N, 2], got "
            f"{list(values.shape)} and {list(subjects.shape)}"
        )
    if not np.isfinite(values).all():
        raise UserError("values must be finite: judge failed trials right or wrong first")
    if resamples < 1:
        raise UserError(f"resamples must be 1 or more, got {resamples}")
    names, codes = np.unique(subjects, return_inverse=True)
    if len(names) < 2:
        raise UserError(f"resampling subjects needs two of them or more, got {len(names)}")
    codes = codes.reshape(len(values), -1)
    value_sums = _sums_by_subject(values, codes, len(names))
    trial_sums = _sums_by_subject(np.ones_like(values), codes, len(names))

    rng = np.random.default_rng(seed)
    rows_at_once = max(1, CELLS_AT_ONCE // len(names))
    means = []
    for start in range(0, resamples, rows_at_once):
        drawn = draw_subjects(rng, min(rows_at_once, resamples - start), len(names))
        trials = _weighted(drawn, *trial_sums)
        means.append(_weighted(drawn, *value_sums)[trials > 0] / trials[trials > 0])
    usable = np.concatenate(means)
    if not len(usable):
        raise UserError("too few subjects: no resample of them holds a trial, draw more resamples")
    return usable


def draw_subjects(rng: np.random.Generator, rows: int, num_subjects: int) -> np.ndarray:
    """[rows, S] how often each subject was drawn, S draws per row."""
    picks = rng.integers(0, num_subjects, size=(rows, num_subjects))
    picks += np.arange(rows)[:, None] * num_subjects
    counts = np.bincount(picks.ravel(), minlength=rows * num_subjects)
    return counts.reshape(rows, num_subjects).astype(np.float64)


def _sums_by_subject(
    values: np.ndarray, codes: np.ndarray, num_subjects: int
) -> tuple[np.ndarray, csr_array]:
    """Sums [S] of the trials within a subject and [S, S] of those between two."""
    first, second = codes[:, 0], codes[:, -1]
    within = first == second
    own = np.bincount(first[within], values[within], minlength=num_subjects)
    place = (first[~within], second[~within])
    between = coo_array((values[~within], place), shape=(num_subjects, num_subjects)).tocsr()
    return own, between


def _weighted(drawn: np.ndarray, own: np.ndarray, between: csr_array) -> np.ndarray:
    """[B] sum of m_i own_i + S / (S - 1) m_i m_j between_ij, with m the rows of ``drawn`` [B, S].

    The draws of two people are not independent: the mean of their product is (S - 1) / S, which would make
    pairs of one person weigh too much among few people.
    """
    total: np.ndarray = drawn @ own
    if between.nnz:
        people = drawn.shape[1]
        total = total + np.einsum("bs,bs->b", drawn @ between, drawn) * (people / (people - 1))
    return total


def _percentiles(means: np.ndarray, level: float) -> tuple[float, float]:
    if not 0.0 < level < 1.0:
        raise UserError(f"the level of an interval must lie between 0 and 1, got {level}")
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)
