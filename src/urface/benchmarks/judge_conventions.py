"""InsightFace's variants of the measures beside ours, so that a published number can be reproduced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from urface.benchmarks.benchmark import Benchmark, PairTask, SearchTask
from urface.benchmarks.beside import Row, both_kinds
from urface.benchmarks.cell import Cell, parse_measure
from urface.benchmarks.pool import Pooled
from urface.benchmarks.score import search_tiles
from urface.benchmarks.search import Search
from urface.metrics.conventions import (
    kfold_accuracy_by_grid,
    squared_distances,
    tar_at_nearest_fars,
    tpir_by_pooled_pairs,
    tpir_by_probe_maxima,
)
from urface.metrics.intervals import Rate
from urface.types import UserError

FOLDS = 10
PAIRS_AT_ONCE = 1 << 14
SCORES_AT_ONCE = 1 << 24


class Conventions:
    """Rows of ``conventions``: task, measure, name (of theirs), ours, theirs and its low, high, events and
    trials, difference (theirs - ours), note, and reason where theirs cannot be computed.

    Theirs are of cosines. ``flip`` says whether features are of an image and its mirror image.
    """

    name = "conventions"

    def __init__(self, benchmark: Benchmark, pooled: Pooled, flip: str) -> None:
        self.benchmark, self.pooled, self.flip = benchmark, pooled, flip
        self.found: list[Row] = []
        self.open_sets: dict[str, list[SearchTask]] = {}  # by group

    def pairs(self, task: PairTask, scores: np.ndarray, cells: Sequence[Cell]) -> None:
        if not both_kinds(task):
            return
        fars: dict[float, Cell] = {}
        for cell in cells:
            kind, at = parse_measure(cell.measure)
            if kind == "accuracy":
                self._accuracy(task, cell)
            if kind == "tar":
                fars[at] = cell
        if not fars:
            return
        for cell, near in zip(
            fars.values(), tar_at_nearest_fars(scores, task.same, list(fars)), strict=True
        ):
            note = f"at a FAR of {near.far.value:.4g}"
            note += ", above the target" if near.overshoots else ""
            note += f"; {near.reason}" if near.reason else ""
            self._add(cell, f"tar_nearest@{near.far_target:g}", near.tar, note)

    def search(self, task: SearchTask, met: Search, cells: Sequence[Cell]) -> None:
        wanted = [cell for cell in cells if parse_measure(cell.measure)[0] == "tpir"]
        if not wanted or task.mates is not None:
            return
        self.open_sets.setdefault(task.group or task.name, []).append(task)
        outcomes = met.outcomes()
        for cell in wanted:
            try:
                found = tpir_by_probe_maxima(outcomes, parse_measure(cell.measure)[1])
            except UserError as error:
                self._add(cell, "tpir_by_probe_maxima", None, reason=str(error))
                continue
            note = f"{found.alarms.events:,} of {found.alarms.trials:,} strangers above"
            self._add(cell, "tpir_by_probe_maxima", found.tpir, note)

    def rows(self, cells: Sequence[Cell]) -> list[Row]:
        by_place = {(cell.task, cell.measure): cell for cell in cells}
        for name, tasks in self.open_sets.items():
            for measure in tasks[0].measures:
                cell = by_place.get((name, measure))
                if cell is None or parse_measure(measure)[0] != "tpir":
                    continue
                if tasks[0].group:
                    self._mean(cell, {task.name for task in tasks})
                self._pooled_pairs(cell, tasks)
        return self.found

    def _accuracy(self, task: PairTask, cell: Cell) -> None:
        if len(task.left) < FOLDS:
            self._add(cell, "accuracy_grid", None, reason="fewer pairs than its ten folds")
            return
        vectors = self.pooled.vectors.reshape(len(self.pooled), -1)
        distances = np.concatenate(
            [
                squared_distances(
                    vectors[task.left[start : start + PAIRS_AT_ONCE]],
                    vectors[task.right[start : start + PAIRS_AT_ONCE]],
                )
                for start in range(0, len(task.left), PAIRS_AT_ONCE)
            ]
        )
        found = kfold_accuracy_by_grid(distances, task.same, FOLDS)
        note = "ten folds of the pairs in their order"
        if self.flip != "sum":
            note += "; theirs adds the mirrored image: give --flip"
        if (np.bincount(self.benchmark.templates.template) > 1).any():
            note += "; theirs is of single images, not of templates"
        self._add(cell, "accuracy_grid", found.pooled, note)

    def _mean(self, cell: Cell, parts: set[str]) -> None:
        """Theirs reports the mean over the galleries."""
        mine = [
            row
            for row in self.found
            if row["task"] in parts
            and row["measure"] == cell.measure
            and row["name"] == "tpir_by_probe_maxima"
        ]
        missing = [row["reason"] for row in mine if row["theirs"] is None]
        row = self._add(
            cell, "tpir_by_probe_maxima", None, "mean of the parts", "".join(missing[:1])
        )
        if not missing:
            row["theirs"] = float(np.mean([part["theirs"] for part in mine]))
            row["difference"] = None if cell.value is None else row["theirs"] - cell.value

    def _pooled_pairs(self, cell: Cell, tasks: Sequence[SearchTask]) -> None:
        probes = tasks[0].probes
        gallery = np.concatenate([task.gallery for task in tasks])
        subjects = self.benchmark.templates.subjects
        name = "tpir_by_pooled_pairs"
        if any(not np.array_equal(task.probes, probes) for task in tasks):
            self._add(cell, name, None, reason="the searches have different probes")
            return
        rows = _rows(self.pooled, probes, gallery)
        try:
            found = tpir_by_pooled_pairs(
                rows, subjects[probes], subjects[gallery], parse_measure(cell.measure)[1]
            )
        except UserError as error:
            self._add(cell, name, None, reason=str(error))
            return
        note = f"all galleries as one; {found.alarms.events:,} scores of others above the threshold"
        self._add(cell, name, found.tpir, note)

    def _add(
        self, cell: Cell, name: str, theirs: Rate | None, note: str = "", reason: str = ""
    ) -> Row:
        value = theirs.value if theirs is not None else None
        known = value is not None and cell.value is not None
        row: Row = {
            "task": cell.task,
            "measure": cell.measure,
            "name": name,
            "ours": cell.value,
            "theirs": value,
            "low": theirs.low if theirs is not None else None,
            "high": theirs.high if theirs is not None else None,
            "events": theirs.events if theirs is not None else None,
            "trials": theirs.trials if theirs is not None else None,
            "difference": value - cell.value if known else None,  # type: ignore[operator]
            "note": note,
            "reason": reason,
        }
        self.found.append(row)
        return row


def _rows(pooled: Pooled, probes: np.ndarray, gallery: np.ndarray) -> Iterator[np.ndarray]:
    """Cosines of all probes with the gallery, some rows at a time, NaN where one has no feature."""
    step = max(1, min(4096, SCORES_AT_ONCE // len(gallery)))
    for start in range(0, len(probes), step):
        some = probes[start : start + step]
        block = np.empty((len(some), len(gallery)), np.float32)
        for tile in search_tiles(pooled, some, gallery, "cosine"):
            rows, columns = tile.scores.shape
            block[tile.probe : tile.probe + rows, tile.entry : tile.entry + columns] = tile.scores
        block[~pooled.there[some]] = np.nan
        block[:, ~pooled.there[gallery]] = np.nan
        yield block
