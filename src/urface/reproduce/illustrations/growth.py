"""Figures A and B: accuracy and uncertainty as each variation grows, drawn and explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from urface.figures.robustness import (
    QUANTILES,
    Axis,
    Curve,
    Robustness,
    Spread,
    robustness_figure,
    uncertainty_spread_figure,
)
from urface.metrics.intervals import rate
from urface.reproduce.illustrations.drawn import NO_MODEL, NO_TEST, Drawn, need, needed
from urface.reproduce.illustrations.material import MOST_ROWS, Material
from urface.reproduce.illustrations.measured import Measured, measure


def robustness(material: Material) -> Drawn:
    """Figure A."""
    rows = material.rows
    need(bool(rows), "no rows to compare: give a finished reproduction, or --model")
    need(
        len(rows) <= MOST_ROWS,
        f"{len(rows)} rows are too many for one panel: choose up to {MOST_ROWS} with --rows",
    )
    measured = _measured(material)
    panels: list[Robustness] = []
    numbers: dict[str, Any] = {}
    for found in measured:
        curves = [Curve(name, *np.array(rates).T) for name, rates in found.accuracy.items()]
        panels.append(Robustness(_axis(found), curves))
        numbers[found.ladder.kind] = {
            "levels": list(found.ladder.levels),
            "pairs": found.pairs,
            "accuracy": {name: [list(rate) for rate in r] for name, r in found.accuracy.items()},
        }
    seeds = max(len(row.models) for row in rows)
    trained = "one training each" if seeds == 1 else f"means over {seeds} trainings each"
    caption = (
        f"Verification accuracy when the second face of each pair is varied and the first is left as it "
        f"is: {measured[0].pairs:,} pairs of test faces ({material.test_name}), half of them of one "
        f"person, in 10 folds with the threshold chosen on the other folds at the same level; {trained}. "
        f"Bands: 95 % intervals over resampled people, which do not hold the chance in training. Harder "
        f"to the right; dotted: chance.{_without_yaw(material)}"
    )
    return Drawn(robustness_figure(panels), "Robustness, row by row", caption, numbers)


def growth(material: Material) -> Drawn:
    """Figure B."""
    needed(material.ours, NO_MODEL)
    measured = _measured(material)
    panels: list[Spread] = []
    numbers: dict[str, Any] = {}
    rising: list[str] = []
    for found in measured:
        quantiles = np.stack([np.quantile(level, QUANTILES) for level in found.uncertainty])
        panels.append(Spread(_axis(found), quantiles))
        numbers[found.ladder.kind] = {
            "levels": list(found.ladder.levels),
            "faces": [len(level) for level in found.uncertainty],
            "quantiles": {str(q): quantiles[:, i].tolist() for i, q in enumerate(QUANTILES)},
        }
        count, faces = grown(found.uncertainty)
        if faces:
            share = rate(count, faces)
            rising.append(f"{found.ladder.kind} {share.format()}")
            numbers[found.ladder.kind]["less_sure_at_the_end"] = share.to_dict()
    caption = (
        f"Uncertainty (mean over the sub-embeddings of log variance; larger is less sure) of "
        f"{len(measured[0].uncertainty[0]):,} test faces ({material.test_name}) as each variation grows. "
        f"All panels share the vertical axis. Faces that are less sure at the strongest level than at "
        f"the weakest, in % [95 % interval]: {'; '.join(rising)}.{_without_yaw(material)}"
    )
    title = "Uncertainty as each variation grows"
    return Drawn(uncertainty_spread_figure(panels), title, caption, numbers)


def grown(values: Sequence[np.ndarray]) -> tuple[int, int]:
    """How many faces have a larger value at the last level than at the first, and of how many.

    (0, 0) where the levels do not hold the same faces.
    """
    if len(values[0]) != len(values[-1]):
        return 0, 0
    return int((values[-1] > values[0]).sum()), len(values[0])


def _measured(material: Material) -> list[Measured]:
    """Measured at the first call: figures A and B share it."""
    needed(material.test, NO_TEST)
    if material.measured is None:
        material.measured = measure(material)
    found: list[Measured] = material.measured
    return found


def _axis(found: Measured) -> Axis:
    ladder = found.ladder
    return Axis(ladder.axis, ladder.levels, ladder.fewer_is_harder)


def _without_yaw(material: Material) -> str:
    if material.turn is not None:
        return ""
    return " Yaw is left out: these faces come without other views."
