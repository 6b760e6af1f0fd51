"""All cells of a benchmark from its templates, held to the protocol's own counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from urface.benchmarks.benchmark import NOBODY, Benchmark, PairTask, SearchTask
from urface.benchmarks.beside import Beside
from urface.benchmarks.cell import Cell, average, parse_measure
from urface.benchmarks.judge_pairs import judge_pairs
from urface.benchmarks.judge_search import judge_search, kept_for
from urface.benchmarks.pool import Pooled
from urface.benchmarks.score import Score, pair_scores
from urface.benchmarks.search import search
from urface.types import UserError

OF_GENUINE = ("tar", "fnmr", "tar_nearest")  # whose trials are the genuine pairs alone


def judge(
    benchmark: Benchmark,
    pooled: Pooled,
    score: Score,
    *,
    resamples: int = 0,
    seed: int = 0,
    progress: bool = False,
    beside: Sequence[Beside] = (),
) -> list[Cell]:
    """A cell for each measure of each task, then for each group its mean over its tasks.

    Each of ``beside`` sees each task with its scores. Raises UserError where the trials of a cell are not
    those that the protocol asks for: a failure must stay in its denominator.
    """
    subjects = benchmark.templates.subjects
    tasks = [task.name for task in benchmark.pairs]
    tasks += [task.name for task in benchmark.searches]
    if len(set(tasks)) != len(tasks):
        raise UserError(f"{benchmark.name}: two of its parts have one name")
    cells: list[Cell] = []
    for pairs in benchmark.pairs:
        scores = pair_scores(pooled, pairs.left, pairs.right, score)
        found = judge_pairs(pairs, scores, subjects, resamples, seed)
        check_pairs(benchmark.name, pairs, found)
        for watcher in beside:
            watcher.pairs(pairs, scores, found)
        cells += [replace(cell, group=pairs.group) for cell in found]
    for task in benchmark.searches:
        keep = kept_for(task, len(task.probes) * len(task.gallery))
        met = search(pooled, task, subjects, score, keep=keep, progress=progress)
        found = judge_search(task, met, subjects, resamples, seed)
        check_search(benchmark.name, task, subjects, found)
        for watcher in beside:
            watcher.search(task, met, found)
        cells += [replace(cell, group=task.group) for cell in found]
    return cells + _groups(cells)


def check_pairs(name: str, task: PairTask, cells: Sequence[Cell]) -> None:
    """Raise UserError unless each cell has as many trials as the protocol has comparisons for it."""
    genuine = int(np.count_nonzero(task.same))
    one_kind = genuine in (0, len(task.same))
    for cell in cells:
        of_genuine = parse_measure(cell.measure)[0] in OF_GENUINE and not one_kind
        _hold(name, cell, genuine if of_genuine else len(task.left))


def check_search(name: str, task: SearchTask, subjects: np.ndarray, cells: Sequence[Cell]) -> None:
    """As ``check_pairs``: mated probes, rows of ``mates``, or pairs of a probe and a mate."""
    people, gallery = subjects[task.probes], subjects[task.gallery]
    gallery = gallery[gallery != NOBODY]
    mated = int(np.count_nonzero(np.isin(people, gallery)))
    names, sizes = np.unique(gallery, return_counts=True)
    at = np.minimum(np.searchsorted(names, people), max(len(names) - 1, 0))
    pairs = int(sizes[at][names[at] == people].sum()) if len(names) else 0
    for cell in cells:
        kind = parse_measure(cell.measure)[0]
        if task.mates is not None and kind in ("rank", "tar", "fnmr"):
            _hold(name, cell, len(task.mates))
        elif task.mates is None:
            _hold(name, cell, pairs if kind in ("tar", "fnmr") else mated)


def _hold(name: str, cell: Cell, expected: int) -> None:
    if cell.trials != expected or not 0 <= cell.failures <= cell.trials:
        raise UserError(
            f"{name}, {cell.task}: {cell.measure} was judged on {cell.trials} trials with {cell.failures} "
            f"failures, but the protocol has {expected}: the result is not written"
        )


def _groups(cells: Sequence[Cell]) -> list[Cell]:
    members: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.group:
            members.setdefault((cell.group, cell.measure), []).append(cell)
    return [average(group, parts) for (group, _), parts in members.items()]
