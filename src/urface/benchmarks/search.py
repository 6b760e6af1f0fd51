"""A search reduced to what its rates need, tile by tile: the matrix of scores is never held."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from tqdm import tqdm

from urface.benchmarks.benchmark import NOBODY, SearchTask
from urface.benchmarks.near_ties import last_reached, settle
from urface.benchmarks.pool import Pooled
from urface.benchmarks.score import PairScorer, Score, search_tiles
from urface.metrics.identification import SearchOutcomes
from urface.scoring.pairs import threads
from urface.types import UserError

MOST_KEPT = 50_000_000  # of the best scores of two people, for rates at a false-accept rate


@dataclass(frozen=True, eq=False)
class Search:
    """What Q probes met in a gallery of G entries.

    start     [Q + 1] int64: the mates of probe q are rows start[q] to start[q + 1] - 1 of the next three
    entry     [L] int64 place of the mate in the gallery (of the template, for a task with ``mates``)
    mate      [L] score of the probe with that mate; NaN = none
    better    [L] int64, entries of others that score at least ``mate``: ties count against us
    other     [Q] score of the best entry of anyone else; NaN = none
    failed    [Q] bool, the probe itself has no feature
    impostors how many comparisons of two people there are, failures included
    top       the highest scores of two people, falling, as many as were asked for or all there are
    failed_impostors  comparisons of two people without a score
    """

    start: np.ndarray
    entry: np.ndarray
    mate: np.ndarray
    better: np.ndarray
    other: np.ndarray
    failed: np.ndarray
    impostors: int
    top: np.ndarray
    failed_impostors: int

    def outcomes(self) -> SearchOutcomes:
        """Per probe, of several mates the best: for ranks and the open set."""
        count = np.diff(self.start)
        mate = np.full(len(count), np.nan)
        better = np.zeros(len(count), np.int64)
        owner = np.repeat(np.arange(len(count)), count)
        scored = np.flatnonzero(~np.isnan(self.mate))
        order = scored[np.lexsort((self.mate[scored], owner[scored]))]
        mate[owner[order]] = self.mate[order]  # of equal places the last, the highest, stays
        better[owner[order]] = self.better[order]
        return SearchOutcomes(count > 0, mate, self.other, better)


def search(
    pooled: Pooled,
    task: SearchTask,
    subjects: np.ndarray,
    score: Score,
    *,
    keep: int = 0,
    progress: bool = False,
) -> Search:
    """Search the probes of ``task`` in its gallery.

    subjects [T] of the templates. ``keep`` is how many of the highest scores of two people are wanted.
    A tile's sums are rounded otherwise than those of the mates, so an entry that scores the same as a mate
    would stand before or behind it by chance: scores that close are taken anew by the mates' kernel.
    Time is that of the scores; memory 64 MB beside the templates. Raises UserError where more than
    MOST_KEPT scores are to be kept.
    """
    if keep > MOST_KEPT:
        raise UserError(
            f"{task.name}: a rate that allows {keep:,} false accepts is too high to stream: ask for a "
            f"lower one, of at most {MOST_KEPT:,}"
        )
    start, entry = _mates(task, subjects)
    owner = np.repeat(np.arange(len(task.probes)), np.diff(start))
    mate_template = entry if task.mates is not None else task.gallery[entry]
    exact = PairScorer(pooled, score)
    mate = exact(task.probes[owner], mate_template)
    # Rising within each probe, failures last, so that a score finds its place by bisection.
    order = np.lexsort((mate, owner))
    entry, mate = entry[order], mate[order]
    known = start[:-1] + np.bincount(owner[~np.isnan(mate)], minlength=len(task.probes))

    person = subjects[task.probes].astype(np.int64)
    people = subjects[task.gallery].astype(np.int64)
    usable = pooled.there[task.gallery]
    failed = ~pooled.there[task.probes]
    other = np.full(len(task.probes), -np.inf, np.float32)
    nearest = np.full(len(task.probes), -1, np.int64)  # place of the entry that scores ``other``
    passed = np.zeros(len(mate) + 1, np.int64)
    top = _Top(keep)
    tiles = search_tiles(pooled, task.probes, task.gallery, score)
    bar = tqdm(
        total=len(task.probes) * len(task.gallery),
        desc=f"{task.name}: searching",
        unit=" scores",
        unit_scale=True,
        disable=not progress,
        leave=False,
        delay=2,
    )
    with bar, ThreadPoolExecutor(threads()) as workers:
        for probe, first, scores, rounding in tiles:
            count, width = scores.shape
            columns = slice(first, first + width)

            def work(
                part: np.ndarray,
                probe: int,
                columns: slice,
                scores: np.ndarray,
                rounding: np.ndarray,
            ) -> None:
                here, rows = (
                    slice(part[0], part[-1] + 1),
                    slice(probe + part[0], probe + part[-1] + 1),
                )
                _drop(scores[here], person[rows], failed[rows], people[columns], usable[columns])
                places = (task.probes[rows], task.gallery[columns])
                mates = (start[rows], known[rows], mate)
                settle(scores[here], rounding[here], places, mates, exact)
                _take(scores[here], columns.start, *mates, other[rows], nearest[rows], passed)

            parts = [p for p in np.array_split(np.arange(count), threads()) if len(p)]
            for done in [workers.submit(work, p, probe, columns, scores, rounding) for p in parts]:
                done.result()
            if keep:
                top.add(scores)
            bar.update(count * width)
    met = np.flatnonzero(nearest >= 0)
    other[met] = exact(task.probes[met], task.gallery[nearest[met]])
    impostors, scored = _impostors(person, people, failed, usable)
    return Search(
        start=start,
        entry=entry,
        mate=mate,
        better=_at_least(passed, start, known),
        other=np.where(np.isneginf(other), np.nan, other),
        failed=failed,
        impostors=impostors,
        top=top.scores(),
        failed_impostors=impostors - scored,
    )


def _mates(task: SearchTask, subjects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mates of each probe as [Q + 1] starts and [L] places in the gallery, or templates of ``mates``."""
    count = len(task.probes)
    if task.mates is not None:
        place = np.full(len(subjects), -1, np.int64)
        if len(np.unique(task.probes)) != count:
            raise UserError(f"{task.name}: a probe is listed twice, so its mates are not clear")
        place[task.probes] = np.arange(count)
        owner = place[task.mates[:, 0]]
        if (owner < 0).any():
            raise UserError(f"{task.name}: a row of its mates names a template that is no probe")
        order = np.argsort(owner, kind="stable")
        sizes = np.bincount(owner, minlength=count)
        return np.append(0, np.cumsum(sizes)), task.mates[order, 1]
    people = subjects[task.gallery]
    order = np.argsort(people, kind="stable")
    order = order[people[order] != NOBODY]
    low, high = (
        np.searchsorted(people[order], subjects[task.probes], side) for side in ("left", "right")
    )
    sizes = np.where(subjects[task.probes] == NOBODY, 0, high - low)
    start = np.append(0, np.cumsum(sizes))
    within = np.arange(start[-1]) - np.repeat(start[:-1], sizes)
    return start, order[np.repeat(low, sizes) + within]


def _at_least(passed: np.ndarray, start: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[L] how many others reach each mate: ``passed`` counts those between it and the next higher one."""
    total = np.cumsum(passed)
    counts = len(passed) - 1
    owner = np.repeat(np.arange(len(start) - 1), np.diff(start))
    row = np.arange(counts)
    last = known[owner]
    before = np.where(row > 0, total[np.maximum(row - 1, 0)], 0)
    better: np.ndarray = np.where(row < last, total[np.maximum(last - 1, 0)] - before, 0)
    return better


def _impostors(
    person: np.ndarray, people: np.ndarray, failed: np.ndarray, usable: np.ndarray
) -> tuple[int, int]:
    """Comparisons of two people: all, and those with a score."""
    counts = []
    for rows, columns in ((person, people), (person[~failed], people[usable])):
        names, sizes = np.unique(columns[columns != NOBODY], return_counts=True)
        at = np.searchsorted(names, rows)
        inside = (at < len(names)) & (rows != NOBODY)
        inside[inside] = names[at[inside]] == rows[inside]
        counts.append(len(rows) * len(columns) - int(sizes[at[inside]].sum()))
    return counts[0], counts[1]


class _Top:
    """The ``keep`` highest of a stream of scores."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.floor = np.float32(-np.inf)
        self.waiting: list[np.ndarray] = []
        self.held = 0

    def add(self, scores: np.ndarray) -> None:
        """Scores of any shape; NaN is none."""
        found = scores[scores > self.floor] if self.held >= self.keep else scores[scores == scores]
        self.waiting.append(found)
        self.held += len(found)
        if self.held > 2 * self.keep + (1 << 20):
            self._shrink()

    def _shrink(self) -> None:
        joined = np.concatenate(self.waiting)
        if len(joined) > self.keep:
            joined = np.partition(joined, len(joined) - self.keep)[len(joined) - self.keep :]
            self.floor = joined.min()
        self.waiting, self.held = [joined], len(joined)

    def scores(self) -> np.ndarray:
        if not self.keep:
            return np.empty(0, np.float32)
        self._shrink()
        return np.sort(self.waiting[0])[::-1]


@njit(cache=True, nogil=True)
def _drop(
    scores: np.ndarray,
    person: np.ndarray,
    failed: np.ndarray,
    people: np.ndarray,
    usable: np.ndarray,
) -> None:
    """NaN in place of the scores of one person, and of those of failures."""
    for q in range(scores.shape[0]):
        who = person[q]
        for g in range(scores.shape[1]):
            if failed[q] or not usable[g] or (people[g] == who and who != NOBODY):
                scores[q, g] = np.nan


@njit(cache=True, nogil=True)
def _take(
    scores: np.ndarray,
    place: int,
    start: np.ndarray,
    known: np.ndarray,
    mate: np.ndarray,
    other: np.ndarray,
    nearest: np.ndarray,
    passed: np.ndarray,
) -> None:
    """Count a tile, whose first entry has ``place`` in the gallery; NaN is no score.

    passed[i] counts others from mate i up to the next higher mate of the same probe; a probe's mates are
    its own, so threads that share no probe share no place.
    """
    for q in range(scores.shape[0]):
        low, high = start[q], known[q]
        best = other[q]
        for g in range(scores.shape[1]):
            score = scores[q, g]
            if score > best:
                best = score
                nearest[q] = place + g
            if low < high and score >= mate[low]:
                passed[last_reached(mate, low, high, score)] += 1
        other[q] = best
