"""Error rates by group of people, at one threshold for all (goal G65)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from urface.benchmarks.benchmark import Benchmark, PairTask, SearchTask
from urface.benchmarks.beside import Row, operating_point
from urface.benchmarks.calibrated import Calibrated
from urface.benchmarks.cell import SAME_SET, Cell
from urface.benchmarks.group_labels import GroupLabels
from urface.benchmarks.search import Search
from urface.metrics.groups import group_table_of_codes
from urface.types import UserError


class Groups:
    """Rows of ``groups``: task, column, file, threshold_from, fmr_target and table, None with a reason.

    The threshold is that of the calibration with the lowest FMR where one is given, else that of the lowest
    FMR that the pairs themselves support.
    """

    name = "groups"

    def __init__(
        self,
        benchmark: Benchmark,
        labels: GroupLabels,
        acquired: np.ndarray,
        calibrated: Calibrated | None = None,
        relation: str = "",
    ) -> None:
        self.labels, self.codes, self.acquired = labels, labels.of(benchmark), acquired
        self.calibrated, self.relation = calibrated, relation
        self.found: list[Row] = []

    def pairs(self, task: PairTask, scores: np.ndarray, cells: Sequence[Cell]) -> None:
        row = self._row(task.name)
        try:
            target, threshold, source = self._threshold(task, scores)
        except UserError as error:
            row["reason"] = str(error)
            return
        codes = np.stack([self.codes.templates[task.left], self.codes.templates[task.right]], 1)
        table = group_table_of_codes(
            scores,
            task.same,
            codes,
            self.labels.groups,
            threshold,
            image_codes=self.codes.images,
            acquired=self.acquired,
        )
        row |= {"threshold_from": source, "fmr_target": target, "table": table.to_dict()}

    def search(self, task: SearchTask, met: Search, cells: Sequence[Cell]) -> None:
        self._row(task.name)["reason"] = "rates by group are of pairs, and this is a search"

    def rows(self, cells: Sequence[Cell]) -> list[Row]:
        return self.found

    def _threshold(self, task: PairTask, scores: np.ndarray) -> tuple[float, float, str]:
        if self.calibrated is not None:
            for point in sorted(self.calibrated.thresholds, key=lambda point: point.fmr_target):
                if point.threshold is not None:
                    source = f"{self.calibrated.benchmark} ({self.relation})"
                    return point.fmr_target, point.threshold, source
        return (*operating_point(task, scores), SAME_SET)

    def _row(self, task: str) -> Row:
        row: Row = {
            "task": task,
            "column": self.labels.column,
            "file": self.labels.file,
            "threshold_from": "",
            "fmr_target": None,
            "table": None,
            "reason": "",
        }
        self.found.append(row)
        return row
