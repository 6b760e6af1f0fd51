"""What is judged beside the measures of a protocol: watchers of its tasks, while their scores are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from urface.benchmarks.benchmark import PairTask, SearchTask
from urface.benchmarks.cell import Cell, parse_measure
from urface.benchmarks.search import Search
from urface.metrics.thresholds import why_unsupported
from urface.metrics.verification import tar_at_far
from urface.types import UserError

Row = dict[str, Any]  # as JSON values
USUAL = (1e-3, 1e-2, 1e-1)  # false-match rates, for protocols that name none


class Beside(Protocol):
    """Sees each task once and gives rows for the field ``name`` of the result."""

    name: str

    def pairs(self, task: PairTask, scores: np.ndarray, cells: Sequence[Cell]) -> None:
        """A 1:1 task with its scores [P] (NaN = failed) and cells."""

    def search(self, task: SearchTask, met: Search, cells: Sequence[Cell]) -> None:
        """A 1:N task with what its search met."""

    def rows(self, cells: Sequence[Cell]) -> list[Row]:
        """When all is seen; ``cells`` are those of tasks and of groups."""
        ...


def both_kinds(task: PairTask) -> bool:
    """Whether there are genuine and impostor pairs."""
    return 0 < int(np.count_nonzero(task.same)) < len(task.same)


def operating_point(task: PairTask, scores: np.ndarray) -> tuple[float, float]:
    """The lowest false-match rate that the pairs support, and its threshold: of those that the task's
    measures name and the usual ones.

    Raises UserError where they support none.
    """
    named = [at for kind, at in map(parse_measure, task.measures) if kind in ("tar", "fnmr")]
    impostors = int(np.count_nonzero(~task.same))
    reason = ""
    for target in sorted({*named, *USUAL}):
        reason = why_unsupported(target, impostors, "impostor pairs")
        if not reason:
            threshold = tar_at_far(scores, task.same, target).threshold
            assert threshold is not None
            return target, threshold
    raise UserError(f"no threshold: {reason}")
