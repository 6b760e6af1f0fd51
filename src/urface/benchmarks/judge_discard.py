"""Whether a model's own uncertainty finds its errors: error against discard, for each task (goal G66)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from urface.benchmarks.benchmark import NOBODY, PairTask, SearchTask
from urface.benchmarks.beside import Row, both_kinds, operating_point
from urface.benchmarks.cell import Cell, parse_measure
from urface.benchmarks.pool import Pooled
from urface.benchmarks.search import Search
from urface.metrics.bootstrap import RESAMPLES
from urface.metrics.discard_interval import discard_interval_by_subject
from urface.metrics.rejection import FLAT, coefficient_of_variation, error_versus_discard
from urface.metrics.verification import kfold_accuracy
from urface.types import UserError

OF_PAIR = "the sum of both templates' mean variances"
OF_PROBE = "the mean variance of the probe"


def uncertainty_of(pooled: Pooled) -> np.ndarray:
    """[T] float64, how unsure each template is: its variance, the mean over sub-embeddings and dimensions.

    NaN for a failure. Raises UserError where the model gives no variance.
    """
    if pooled.variance is None:
        raise UserError("this model gives no variance")
    mean = pooled.variance.reshape(len(pooled), -1).mean(1, dtype=np.float64)
    return np.where(pooled.there, mean, np.nan)


class Discard:
    """Rows of ``discard``: task, errors and uncertainty (what they are), trials, check ("" where passed),
    spread (the coefficient of variation over templates), and curve and interval, None with a reason.

    A pair's uncertainty is the SUM of both, the variance of the difference of two independent features.
    Errors: wrong answers where the protocol has folds, else genuine pairs refused at the lowest FMR that
    the pairs support; mated probes whose mate is not first in a search.
    """

    name = "discard"

    def __init__(self, pooled: Pooled, subjects: np.ndarray, resamples: int, seed: int) -> None:
        self.uncertainty, self.subjects = uncertainty_of(pooled), subjects
        self.resamples, self.seed = resamples or RESAMPLES, seed
        self.found: list[Row] = []

    def pairs(self, task: PairTask, scores: np.ndarray, cells: Sequence[Cell]) -> None:
        if not both_kinds(task):
            return
        accuracy = any(parse_measure(name)[0] == "accuracy" for name in task.measures)
        if accuracy and len(np.unique(task.fold)) > 1:
            chosen = np.arange(len(task.left))
            errors = ~kfold_accuracy(scores, task.same, task.fold).correct
            words = "wrong answers at the threshold of the other folds"
        else:
            try:
                target, threshold = operating_point(task, scores)
            except UserError as error:
                self.found.append(_row(task.name, "", OF_PAIR, 0, str(error)))
                return
            chosen = np.flatnonzero(task.same)
            errors = ~(scores[chosen] >= threshold)
            words = f"genuine pairs refused at FMR {target:g}"
        sides = np.stack([task.left[chosen], task.right[chosen]], 1)
        self._judge(task.name, words, OF_PAIR, errors, sides)

    def search(self, task: SearchTask, met: Search, cells: Sequence[Cell]) -> None:
        outcomes = met.outcomes()
        if task.mates is not None:
            probe = np.repeat(np.arange(len(task.probes)), np.diff(met.start))
            mate, better = met.mate, met.better
        else:
            probe = np.flatnonzero(outcomes.mated)
            mate, better = outcomes.mate[probe], outcomes.better[probe]
        if not len(probe):
            return
        errors = np.isnan(mate) | (better > 0)
        words = "mated probes whose mate is not first"
        self._judge(task.name, words, OF_PROBE, errors, task.probes[probe][:, None])

    def rows(self, cells: Sequence[Cell]) -> list[Row]:
        return self.found

    def _judge(
        self, task: str, words: str, of: str, errors: np.ndarray, templates: np.ndarray
    ) -> None:
        """errors [N] of trials of templates [N, 1 or 2]."""
        row = _row(task, words, of, len(errors))
        self.found.append(row)
        try:
            used = np.unique(templates)
            row["spread"] = spread = coefficient_of_variation(self.uncertainty[used])
            if spread < FLAT:
                raise UserError(
                    f"the uncertainty is flat: over templates it varies by {100 * spread:.2g}% of its mean, "
                    f"below {100 * FLAT:g}%: it tells nothing"
                )
            unsure = self.uncertainty[templates].sum(1)
            row["curve"] = error_versus_discard(errors, unsure).to_dict()
        except UserError as error:
            row["check"] = f"failed: {error}"
            return
        people = self.subjects[templates]
        if (people == NOBODY).any() or len(np.unique(people)) < 2:
            row["reason"] = "no interval: whose images they are is not known, or one person's"
            return
        who = people if people.shape[1] == 2 else people[:, 0]
        row["interval"] = discard_interval_by_subject(
            errors, unsure, who, resamples=self.resamples, seed=self.seed
        ).to_dict()


def _row(task: str, errors: str, uncertainty: str, trials: int, reason: str = "") -> Row:
    return {
        "task": task,
        "errors": errors,
        "uncertainty": uncertainty,
        "trials": trials,
        "check": "",
        "spread": None,
        "curve": None,
        "interval": None,
        "reason": reason,
    }
