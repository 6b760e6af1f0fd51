"""One number of a table with all that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from urface.metrics.intervals import Rate
from urface.types import UserError

Kind = Literal[
    "accuracy", "eer", "auc", "tar", "fnmr", "tar_nearest", "rank", "tpir", "fnir", "map"
]
AT = ("tar", "fnmr", "tar_nearest", "tpir", "fnir")
PLAIN = ("accuracy", "eer", "auc", "map")

BINOMIAL = "Clopper-Pearson, trials taken as independent"
BY_SUBJECT = "bootstrap by subject"
OF_PARTS = "mean of the parts' bounds, which errs to the wide side"
SAME_SET = "same set"
OTHER_FOLDS = "the other folds"


@dataclass(frozen=True)
class Cell:
    """A measure of a task.

    task       its name, or that of a group of tasks
    measure    as the benchmark writes it: tar@0.0001
    value      0..1, or None where it is withheld, for the ``reason`` given
    low, high  bounds of its 95% interval, made by ``interval``
    events, trials  the counts behind it; events is None where the measure is no share of trials
    failures   trials without a score, in ``trials`` and judged like the others
    threshold  the score that it was read at, None where there is none; +inf accepts nothing
    threshold_from  what the threshold was chosen on: the same set, or the other folds
    group      of which the task is a part, "" where of none
    parts, std      of a group its tasks, of an accuracy its folds: how many, and their standard deviation
                    (n - 1)
    """

    task: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    events: int | None
    trials: int
    failures: int = 0
    reason: str = ""
    interval: str = BINOMIAL
    threshold: float | None = None
    threshold_from: str = ""
    group: str = ""
    parts: int = 1
    std: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; a threshold that accepts nothing (+inf) is the text ``inf``."""
        values = asdict(self)
        if self.threshold is not None and not np.isfinite(self.threshold):
            values["threshold"] = "inf"
        return values

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Cell:
        """What ``to_dict`` gave. Raises UserError for other fields."""
        known = {field.name for field in fields(Cell)}
        if not isinstance(values, dict) or set(values) - known or "measure" not in values:
            raise UserError("a cell of this result has other fields than this version writes")
        threshold = values.get("threshold")
        return Cell(**{**values, "threshold": float("inf") if threshold == "inf" else threshold})


def of_rate(
    task: str,
    measure: str,
    rate: Rate,
    *,
    interval: str = BINOMIAL,
    threshold: float | None = None,
    threshold_from: str = "",
) -> Cell:
    """A cell of a rate."""
    return Cell(
        task,
        measure,
        rate.value,
        rate.low,
        rate.high,
        rate.events,
        rate.trials,
        rate.failures,
        rate.reason,
        interval,
        threshold,
        threshold_from,
    )


def without(task: str, measure: str, trials: int, failures: int, reason: str) -> Cell:
    """A cell that is withheld."""
    return Cell(task, measure, None, None, None, None, trials, failures, reason)


def parse_measure(name: str) -> tuple[Kind, float]:
    """``tar@1e-4`` -> ("tar", 1e-4), ``rank5`` -> ("rank", 5). Raises UserError for another word."""
    kind, _, at = name.partition("@")
    if kind in AT and at:
        try:
            target = float(at)
        except ValueError:
            target = 0.0
        if 0.0 < target <= 1.0:
            return kind, target  # type: ignore[return-value]
    elif name in PLAIN:
        return name, 0.0  # type: ignore[return-value]
    elif name.startswith("rank") and name[4:].isdecimal() and int(name[4:]) >= 1:
        return "rank", float(name[4:])
    raise UserError(
        f"{name!r} is no measure: use accuracy, eer, auc, map, rank<r>, or one of "
        f"{', '.join(AT)} followed by @ and a rate above 0 and at most 1"
    )


def average(group: str, cells: Sequence[Cell]) -> Cell:
    """Mean and standard deviation of one measure over the parts of a group.

    Withheld where one part is: a mean over the others would be of another protocol.
    """
    first = cells[0]
    trials, failures = sum(c.trials for c in cells), sum(c.failures for c in cells)
    missing = [c for c in cells if c.value is None]
    if missing:
        reason = f"{missing[0].task}: {missing[0].reason}"
        return Cell(
            group, first.measure, None, None, None, None, trials, failures, reason, parts=len(cells)
        )
    values, lows, highs = ([getattr(c, name) for c in cells] for name in ("value", "low", "high"))
    bounded = all(low is not None for low in lows)
    return Cell(
        group,
        first.measure,
        float(np.mean(values)),
        float(np.mean(lows)) if bounded else None,
        float(np.mean(highs)) if bounded else None,
        None,
        trials,
        failures,
        interval=OF_PARTS if bounded else "none",
        threshold_from=first.threshold_from,
        parts=len(cells),
        std=float(np.std(values, ddof=1)) if len(cells) > 1 else None,
    )
