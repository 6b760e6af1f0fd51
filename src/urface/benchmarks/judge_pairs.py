"""Measures of a 1:1 task from the scores of its pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from urface.benchmarks.benchmark import NOBODY, PairTask
from urface.benchmarks.cell import (
    BINOMIAL,
    BY_SUBJECT,
    OTHER_FOLDS,
    SAME_SET,
    Cell,
    of_rate,
    parse_measure,
    without,
)
from urface.metrics.bootstrap import rate_by_subject
from urface.metrics.conventions import tar_at_nearest_far
from urface.metrics.curves import auc, eer
from urface.metrics.intervals import Rate
from urface.metrics.verification import kfold_accuracy, tar_at_far
from urface.types import UserError


def judge_pairs(
    task: PairTask, scores: np.ndarray, subjects: np.ndarray, resamples: int = 0, seed: int = 0
) -> list[Cell]:
    """A cell for each measure of ``task`` from scores [P] (NaN = failed); ``subjects`` [T] of templates.

    With ``resamples`` intervals of accuracy, TAR and FNMR draw subjects; at a fixed threshold for the last
    two. Raises UserError where there are not as many scores as pairs, or a measure is not one of pairs.
    """
    if len(scores) != len(task.left):
        raise UserError(f"{task.name}: {len(scores)} scores for {len(task.left)} pairs")
    return [_cell(task, name, scores, subjects, resamples, seed) for name in task.measures]


def _cell(
    task: PairTask,
    name: str,
    scores: np.ndarray,
    subjects: np.ndarray,
    resamples: int,
    seed: int,
) -> Cell:
    kind, _ = parse_measure(name)
    same = task.same
    num_genuine = int(np.count_nonzero(same))
    failed = int(np.count_nonzero(np.isnan(scores)))
    missing = "genuine" if not num_genuine else "impostor" if num_genuine == len(same) else ""
    if missing:
        return without(task.name, name, len(same), failed, f"there is no {missing} pair")
    people = np.stack([subjects[task.left], subjects[task.right]], 1) if resamples else None
    if kind == "accuracy":
        if len(np.unique(task.fold)) < 2:
            return without(task.name, name, len(same), failed, "the protocol has no folds")
        found = kfold_accuracy(scores, same, task.fold)
        share, interval = _by_subject(found.pooled, found.correct, people, resamples, seed)
        cell = of_rate(task.name, name, share, interval=interval, threshold_from=OTHER_FOLDS)
        return replace(cell, parts=len(found.folds), std=found.std)
    if kind == "eer":
        error = eer(scores, same)
        return Cell(
            task.name,
            name,
            error.value,
            error.low,
            error.high,
            None,
            len(same),
            failed,
            error.reason,
            "the wider of the two rates' Clopper-Pearson bounds",
            error.threshold,
            SAME_SET,
        )
    if kind == "auc":
        area = auc(scores, same)
        how = "DeLong, comparisons taken as independent"
        return Cell(
            task.name, name, area.value, area.low, area.high, None, len(same), failed, interval=how
        )
    if kind in ("tar", "fnmr"):
        return _at_far(task, name, scores, people, resamples, seed)
    if kind == "tar_nearest":
        return _at_nearest_far(task, name, scores)
    raise UserError(f"{task.name}: {name} is a measure of a search, not of pairs")


def _at_nearest_far(task: PairTask, name: str, scores: np.ndarray) -> Cell:
    """The field's reading, by its name: the FAR may lie above the target, and the cell says where it lies."""
    found = tar_at_nearest_far(scores, task.same, parse_measure(name)[1])
    words = f"{SAME_SET} ({name} of {task.name} reaches a FAR of {found.far.format(2)}"
    words += ", above its target" if found.overshoots else ""
    words += f"; {found.reason})" if found.reason else ")"
    return of_rate(task.name, name, found.tar, threshold=found.threshold, threshold_from=words)


def _at_far(
    task: PairTask,
    name: str,
    scores: np.ndarray,
    people: np.ndarray | None,
    resamples: int,
    seed: int,
) -> Cell:
    kind, at = parse_measure(name)
    found = tar_at_far(scores, task.same, at)
    if not found.supported:
        return of_rate(task.name, name, found.tar, threshold_from=SAME_SET)
    genuine = task.same
    accepted = scores[genuine] >= found.threshold
    events = accepted if kind == "tar" else ~accepted
    plain = found.tar if kind == "tar" else complement(found.tar)
    between = people[genuine] if people is not None else None
    share, interval = _by_subject(plain, events, between, resamples, seed)
    return of_rate(
        task.name,
        name,
        share,
        interval=interval,
        threshold=found.threshold,
        threshold_from=SAME_SET,
    )


def complement(rate: Rate) -> Rate:
    """The share of the other outcome, its bounds turned round."""
    if rate.value is None or rate.low is None or rate.high is None:
        return rate
    misses = rate.trials - rate.events
    return Rate(
        misses / rate.trials, 1 - rate.high, 1 - rate.low, misses, rate.trials, "", rate.failures
    )


def _by_subject(
    plain: Rate, events: np.ndarray, people: np.ndarray | None, resamples: int, seed: int
) -> tuple[Rate, str]:
    """The rate with bounds from drawing people where that was asked for and there are two or more."""
    if people is None or len(np.unique(people)) < 2 or (people == NOBODY).any():
        return plain, BINOMIAL
    drawn = rate_by_subject(events, people, resamples=resamples, seed=seed, failures=plain.failures)
    return drawn, f"{BY_SUBJECT}, {resamples} draws"
