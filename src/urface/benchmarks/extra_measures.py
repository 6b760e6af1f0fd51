"""Measures that a user asks for beside those that a protocol reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.cell import parse_measure
from urface.types import UserError

OF_PAIRS = ("accuracy", "eer", "auc", "tar", "fnmr", "tar_nearest")
OF_SEARCHES = ("rank", "tpir", "fnir", "map", "tar", "fnmr")


def with_measures(benchmark: Benchmark, extra: Sequence[str]) -> Benchmark:
    """The benchmark with each measure of ``extra`` added to the tasks that it can be taken of.

    Raises UserError for a word that is no measure, and for one that no task of the benchmark has.
    """
    if not extra:
        return benchmark
    kinds = {name: parse_measure(name)[0] for name in extra}
    for name, kind in kinds.items():
        of_pairs, of_searches = kind in OF_PAIRS, kind in OF_SEARCHES
        if not (of_pairs and benchmark.pairs) and not (of_searches and benchmark.searches):
            what = "pairs" if of_pairs else "a search"
            raise UserError(f"{name} is a measure of {what}, which {benchmark.name} does not have")
    return replace(
        benchmark,
        pairs=tuple(
            replace(task, measures=_joined(task.measures, kinds, OF_PAIRS))
            for task in benchmark.pairs
        ),
        searches=tuple(
            replace(task, measures=_joined(task.measures, kinds, OF_SEARCHES))
            for task in benchmark.searches
        ),
    )


def _joined(
    measures: tuple[str, ...], extra: Mapping[str, str], known: tuple[str, ...]
) -> tuple[str, ...]:
    there = {parse_measure(name) for name in measures}
    added = [name for name, kind in extra.items() if kind in known]
    return (*measures, *(name for name in added if parse_measure(name) not in there))
