"""A calibration of one benchmark judged on another: are its probabilities true, do its thresholds hold?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from urface.benchmarks.benchmark import NOBODY, PairTask, SearchTask
from urface.benchmarks.beside import Row, both_kinds
from urface.benchmarks.calibrated import Calibrated
from urface.benchmarks.cell import Cell
from urface.benchmarks.search import Search
from urface.metrics.bootstrap import RESAMPLES
from urface.metrics.calibration import TransferredThreshold
from urface.metrics.error_rates import rates_at_threshold
from urface.metrics.intervals import withheld
from urface.metrics.reliability import reliability
from urface.types import UserError

MOST_PAIRS = 500_000  # of a reliability diagram: above it impostor pairs are drawn
NO_PAIRS = "a calibration is of pairs, and this is a search"


class Calibration:
    """Rows of ``calibration``: task, fitted_on (benchmark, version, data, prior, method), relation of the two
    data sets and shared_keys, prior (the share of genuine pairs that the probabilities were moved to: that
    of the pairs judged), drawn (how many impostor pairs were drawn, None where all were taken), reliability
    and thresholds, None with a reason.

    Thresholds are judged on all pairs.
    """

    name = "calibration"

    def __init__(
        self,
        calibrated: Calibrated,
        relation: tuple[str, int],
        subjects: np.ndarray,
        resamples: int,
        seed: int,
    ) -> None:
        self.calibrated, self.subjects = calibrated, subjects
        self.relation, self.shared = relation
        self.resamples, self.seed = resamples or RESAMPLES, seed
        self.found: list[Row] = []

    def pairs(self, task: PairTask, scores: np.ndarray, cells: Sequence[Cell]) -> None:
        row = self._row(task.name)
        if not both_kinds(task):
            row["reason"] = "there are not both kinds of pairs"
            return
        row["thresholds"] = [one.to_dict() for one in self._thresholds(task, scores)]
        try:
            self._probabilities(row, task, scores)
        except UserError as error:
            row["reason"] = str(error)

    def search(self, task: SearchTask, met: Search, cells: Sequence[Cell]) -> None:
        self._row(task.name)["reason"] = NO_PAIRS

    def rows(self, cells: Sequence[Cell]) -> list[Row]:
        return self.found

    def _thresholds(self, task: PairTask, scores: np.ndarray) -> list[TransferredThreshold]:
        found = []
        genuine = int(np.count_nonzero(task.same))
        for target, threshold, fitted in self.calibrated.thresholds:
            if threshold is None:
                reason = f"where it was set: {fitted.reason}"
                rates = (withheld(reason, len(task.same) - genuine), withheld(reason, genuine))
            else:
                rates = rates_at_threshold(scores, task.same, threshold)
            found.append(TransferredThreshold(target, threshold, fitted, *rates))
        return found

    def _probabilities(self, row: Row, task: PairTask, scores: np.ndarray) -> None:
        chosen = np.arange(len(scores))
        if len(chosen) > MOST_PAIRS:
            genuine = np.flatnonzero(task.same)
            others = np.flatnonzero(~task.same)
            drawn = max(MOST_PAIRS - len(genuine), min(len(genuine), len(others)))
            random = np.random.default_rng(self.seed)
            others = random.choice(others, min(drawn, len(others)), replace=False)
            chosen = np.concatenate([genuine, np.sort(others)])
            row["drawn"] = len(others)
        scores, same = scores[chosen], task.same[chosen]
        known = ~np.isnan(scores)
        share = float(same[known].mean()) if known.any() else 0.0
        if not 0 < share < 1:
            raise UserError("there are not both kinds of pairs with a score")
        row["prior"] = share
        probability = self.calibrated.fit.at_prior(share).probability(scores)
        shown = reliability(
            probability,
            same,
            self._people(task, chosen),
            resamples=self.resamples,
            seed=self.seed,
        )
        row["reliability"] = shown.to_dict()

    def _people(self, task: PairTask, chosen: np.ndarray) -> np.ndarray:
        """[N, 2] people; a template of nobody known is a person of its own."""
        sides = np.stack([task.left[chosen], task.right[chosen]], 1)
        people = self.subjects[sides].astype(np.int64)
        return np.where(people == NOBODY, self.subjects.max() + 1 + sides, people)

    def _row(self, task: str) -> Row:
        of = self.calibrated
        row: Row = {
            "task": task,
            "fitted_on": {
                "benchmark": of.benchmark,
                "version": of.version,
                "tasks": list(of.tasks),
                "data": of.data,
                "method": of.fit.method,
                "prior": of.fit.prior,
                "genuine": of.fit.genuine,
                "impostor": of.fit.impostor,
            },
            "relation": self.relation,
            "shared_keys": self.shared,
            "prior": None,
            "drawn": None,
            "reliability": None,
            "thresholds": None,
            "reason": "",
        }
        self.found.append(row)
        return row
