"""Measures of a 1:N task from what its search met."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from urface.benchmarks.benchmark import NOBODY, SearchTask
from urface.benchmarks.cell import (
    BINOMIAL,
    BY_SUBJECT,
    SAME_SET,
    Cell,
    of_rate,
    parse_measure,
    without,
)
from urface.benchmarks.judge_pairs import complement
from urface.benchmarks.search import MOST_KEPT, Search
from urface.metrics.bootstrap import RESAMPLES, bootstrap_interval_by_subject, rate_by_subject
from urface.metrics.identification import SearchOutcomes, tpir_at_fpir
from urface.metrics.intervals import Rate, clopper_pearson, rate
from urface.metrics.thresholds import allowed_errors, threshold_at_most, why_unsupported
from urface.types import UserError

NO_MATED = "no probe has a mate in the gallery"
NO_STRANGER = "an open set needs probes of nobody in the gallery, and there are none"


@dataclass(frozen=True, eq=False)
class _Judged:
    """One task's search with the people of its probes, and how intervals are wanted."""

    task: SearchTask
    search: Search
    outcomes: SearchOutcomes
    people: np.ndarray
    resamples: int
    seed: int

    def share(self, events: np.ndarray, people: np.ndarray, failures: int) -> tuple[Rate, str]:
        """The share of True in ``events`` with its interval."""
        known = len(np.unique(people)) > 1 and not (people == NOBODY).any()
        if not self.resamples or not known:
            return rate(int(events.sum()), len(events), failures=failures), BINOMIAL
        drawn = rate_by_subject(
            events, people, resamples=self.resamples, seed=self.seed, failures=failures
        )
        return drawn, f"{BY_SUBJECT}, {self.resamples} draws"


def judge_search(
    task: SearchTask, search: Search, subjects: np.ndarray, resamples: int = 0, seed: int = 0
) -> list[Cell]:
    """A cell for each measure of ``task``; ``subjects`` [T] of templates.

    Ranks are of mated probes; with ``mates`` each row is a trial. Raises UserError where a measure is not
    one of searches.
    """
    judged = _Judged(task, search, search.outcomes(), subjects[task.probes], resamples, seed)
    return [_cell(judged, name) for name in task.measures]


def kept_for(task: SearchTask, comparisons: int) -> int:
    """How many of the highest scores of two people the measures of ``task`` need.

    One that needs over MOST_KEPT is left out: its cell is withheld.
    """
    rates = [at for kind, at in map(parse_measure, task.measures) if kind in ("tar", "fnmr")]
    wanted = (allowed_errors(at, comparisons) + 1 for at in rates)
    return max((count for count in wanted if count <= MOST_KEPT), default=0)


def _cell(judged: _Judged, name: str) -> Cell:
    kind, at = parse_measure(name)
    if kind == "rank":
        return _rank(judged, name, int(at))
    if kind in ("tpir", "fnir"):
        return _open_set(judged, name, at)
    if kind == "map":
        return _map(judged, name)
    if kind in ("tar", "fnmr"):
        return _at_far(judged, name, at)
    raise UserError(f"{judged.task.name}: {name} is a measure of pairs, not of a search")


def _rank(judged: _Judged, name: str, rank: int) -> Cell:
    task, search, outcomes = judged.task, judged.search, judged.outcomes
    if task.mates is not None:
        mate, better = search.mate, search.better
        people = np.repeat(judged.people, np.diff(search.start))
    else:
        mated = outcomes.mated
        mate, better, people = outcomes.mate[mated], outcomes.better[mated], judged.people[mated]
    failures = int(np.count_nonzero(np.isnan(mate)))
    if not len(mate):
        return without(task.name, name, 0, failures, NO_MATED)
    share, interval = judged.share(~np.isnan(mate) & (better < rank), people, failures)
    return of_rate(task.name, name, share, interval=interval)


def _open_set(judged: _Judged, name: str, at: float) -> Cell:
    task, outcomes = judged.task, judged.outcomes
    mated = outcomes.mated
    count = int(mated.sum())
    if not count or count == len(mated):
        reason = NO_STRANGER if count else NO_MATED
        return without(task.name, name, count, outcomes.failed_mated, reason)
    found = tpir_at_fpir(outcomes, at)
    if not found.supported:
        return of_rate(task.name, name, found.tpir, threshold_from=SAME_SET)
    hit = (outcomes.better[mated] == 0) & (outcomes.mate[mated] >= found.threshold)
    share, interval = judged.share(hit, judged.people[mated], outcomes.failed_mated)
    return of_rate(
        task.name,
        name,
        share if name.startswith("tpir") else complement(share),
        interval=interval,
        threshold=found.threshold,
        threshold_from=SAME_SET,
    )


def _at_far(judged: _Judged, name: str, at: float) -> Cell:
    """TAR of all mates at the score that few enough comparisons of two people reach."""
    task, search = judged.task, judged.search
    failures = int(np.count_nonzero(np.isnan(search.mate)))
    trials = len(search.mate)
    if not trials:
        return without(task.name, name, 0, 0, NO_MATED)
    reason = why_unsupported(at, search.impostors, "impostor pairs")
    if reason:
        return without(task.name, name, trials, failures, reason)
    most = allowed_errors(at, len(task.probes) * len(task.gallery)) + 1
    if most > MOST_KEPT:
        reason = f"{most:,} false accepts are too many to hold at once, of at most {MOST_KEPT:,}"
        return without(task.name, name, trials, failures, reason)
    allowed = allowed_errors(at, search.impostors)
    genuine = search.mate[~np.isnan(search.mate)]
    threshold = threshold_at_most(search.top[: allowed + 1], genuine, allowed)
    people = np.repeat(judged.people, np.diff(search.start))
    share, interval = judged.share(search.mate >= threshold, people, failures)
    return of_rate(
        task.name,
        name,
        share if name.startswith("tar") else complement(share),
        interval=interval,
        threshold=threshold,
        threshold_from=SAME_SET,
    )


def _map(judged: _Judged, name: str) -> Cell:
    """The mean over mated probes of their average precision, with an interval by subject."""
    task = judged.task
    mated = judged.outcomes.mated
    failures = judged.outcomes.failed_mated
    if task.mates is not None or not mated.any():
        reason = NO_MATED if task.mates is None else "its trials have one mate each"
        return without(task.name, name, int(mated.sum()), failures, reason)
    values = average_precisions(judged.search)[mated]
    people = judged.people[mated]
    count = len(np.unique(people))
    value = float(values.mean())
    low, high, interval = None, None, "none: the probes are of one person"
    if count > 1:
        draws = judged.resamples or RESAMPLES
        if values[0] in (0.0, 1.0) and (values == values[0]).all():
            low, high = clopper_pearson(count * int(values[0]), count)
        else:
            low, high = bootstrap_interval_by_subject(
                values, people, resamples=draws, seed=judged.seed
            )
        interval = f"{BY_SUBJECT}, {draws} draws"
    return Cell(task.name, name, value, low, high, None, len(values), failures, interval=interval)


def average_precisions(search: Search) -> np.ndarray:
    """[Q] average precision of each probe over all its mates, 0 where it has none.

    By trapezoids, as TinyFace's evaluation has it: a mate at place r, the h-th mate there, adds the mean of
    h / r and (h - 1) / (r - 1), the latter 1 where r is 1. A mate without a score is never found.
    """
    sizes = np.diff(search.start)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    known = ~np.isnan(search.mate)
    end = search.start[:-1] + np.bincount(owner[known], minlength=len(sizes))
    hit = end[owner] - np.arange(
        len(owner)
    )  # mates rise within a probe, so the last is the first found
    hit, place = hit[known], (hit + search.better)[known]
    before = np.where(place > 1, (hit - 1) / np.maximum(place - 1, 1), 1.0)
    gained = np.bincount(owner[known], (hit / place + before) / 2, minlength=len(sizes))
    precision: np.ndarray = gained / np.maximum(sizes, 1)
    return precision
