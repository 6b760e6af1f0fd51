"""`urface figures`: the paper's five figures and two of our own, each collected, drawn and explained."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from urface.atomic import write_atomic
from urface.figures.page import Entry, figures_page
from urface.figures.robustness import (
    QUANTILES,
    Axis,
    Curve,
    Robustness,
    Spread,
    robustness_figure,
    uncertainty_spread_figure,
)
from urface.figures.style import save_figure, to_jpeg
from urface.reproduce import portraits
from urface.reproduce.material import Material
from urface.reproduce.robustness import Measured, measure
from urface.types import UserError

FIGURES = ("1", "2", "3", "4", "5", "A", "B")
NAMES = {
    "1": "figure1_confidence",
    "2": "figure2_uncertainty_by_variation",
    "3": "figure3_uncertainty_ranked",
    "4": "figure4_tsne",
    "5": "figure5_test_sets",
    "A": "figureA_robustness",
    "B": "figureB_uncertainty_growth",
}
MOST_ROWS = 8


def illustrate(
    material: Material,
    out: str | Path,
    only: Sequence[str] = FIGURES,
    small: str | Path | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Draw the figures ``only`` into ``out`` as PDF and PNG, with index.html and numbers.json.

    The names of those drawn, and of those left out with the reason of each. ``small`` is a folder for
    light JPEGs beside. Raises UserError for a name that is none.
    """
    unknown = [name for name in only if name not in FIGURES]
    if unknown:
        raise UserError(f"--only: no figure {unknown[0]!r}; there are {', '.join(FIGURES)}")
    out = Path(out)
    session = Session(material)
    entries, numbers, left_out = [], {}, {}
    for name in [name for name in FIGURES if name in only]:
        _say(material, f"figure {name}")
        try:
            drawn = session.draw(name)
        except UserError as error:
            left_out[name] = str(error)
            _say(material, f"figure {name} left out: {error}")
            continue
        save_figure(drawn.figure, out, NAMES[name])
        if small is not None:
            write_atomic(Path(small) / f"{NAMES[name]}.jpg", to_jpeg(drawn.figure))
        entries.append(Entry(name, drawn.title, drawn.caption, drawn.figure))
        if drawn.numbers:
            numbers[name] = drawn.numbers
    if entries:
        write_atomic(out / "numbers.json", json.dumps(numbers, indent=1) + "\n")
        write_atomic(out / "index.html", figures_page(entries, left_out))
    return [entry.name for entry in entries], left_out


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure, what a reader is told of it, and the numbers in it as JSON values."""

    figure: Figure
    title: str
    caption: str
    numbers: dict[str, Any] = field(default_factory=dict)


class Session:
    """Draws figures of one material; A and B share their measurement."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self._measured: list[Measured] | None = None

    def draw(self, name: str) -> Drawn:
        """The figure called ``name``. Raises UserError, with what lacks, where it cannot be drawn."""
        ways: dict[str, Callable[[Material], tuple[Any, ...]]] = {
            "1": portraits.confidence,
            "2": portraits.by_variation,
            "3": portraits.ranked,
            "4": portraits.maps,
            "5": portraits.test_sets,
        }
        if name in ways:
            return Drawn(*ways[name](self.material))
        return self._robustness() if name == "A" else self._growth()

    def measured(self) -> list[Measured]:
        """Accuracy and uncertainty along every ladder, measured at the first call."""
        material = self.material
        portraits.need(material.test is not None, "no test faces: give --faces")
        if self._measured is None:
            self._measured = measure(material)
        return self._measured

    def _robustness(self) -> Drawn:
        rows = self.material.rows
        portraits.need(bool(rows), "no rows to compare: give a finished reproduction, or --model")
        portraits.need(
            len(rows) <= MOST_ROWS,
            f"{len(rows)} rows are too many for one panel: choose up to {MOST_ROWS} with --rows",
        )
        measured = self.measured()
        panels: list[Robustness] = []
        numbers: dict[str, Any] = {}
        for found in measured:
            curves = []
            for name, triples in found.accuracy.items():
                value, low, high = portraits.columns(triples)
                curves.append(Curve(name, value, low, high))
            panels.append(Robustness(_axis(found), curves))
            numbers[found.ladder.kind] = {
                "levels": list(found.ladder.levels),
                "pairs": found.pairs,
                "accuracy": {name: list(triples) for name, triples in found.accuracy.items()},
            }
        pairs, seeds = measured[0].pairs, max(len(row.models) for row in rows)
        trained = "one training each" if seeds == 1 else f"the mean of {seeds} trainings each"
        caption = (
            f"Verification accuracy when the second face of each pair is varied and the first is left "
            f"as it is: {pairs:,} pairs of {self.material.test_name}, 10 folds, the threshold chosen on "
            f"the other folds at the same level; {trained}. Bands: 95 % intervals over resampled "
            f"people, which do not hold the chance in training. Harder to the right; dotted: chance."
            f"{self._without_yaw()}"
        )
        return Drawn(robustness_figure(panels), "Robustness, row by row", caption, numbers)

    def _growth(self) -> Drawn:
        portraits.need(self.material.ours is not None, "no confidence-aware model: give --model")
        panels: list[Spread] = []
        numbers: dict[str, Any] = {}
        rising: list[str] = []
        for found in self.measured():
            quantiles = portraits.quantiles(found.uncertainty, QUANTILES)
            panels.append(Spread(_axis(found), quantiles))
            numbers[found.ladder.kind] = {
                "levels": list(found.ladder.levels),
                "faces": [len(values) for values in found.uncertainty],
                "quantiles": {str(q): quantiles[:, i].tolist() for i, q in enumerate(QUANTILES)},
            }
            grown, count = portraits.grown(found.uncertainty)
            if count:
                rising.append(f"{found.ladder.kind} {100 * grown / count:.0f} % ({grown}/{count})")
                numbers[found.ladder.kind] |= {"less_sure_at_the_end": [grown, count]}
        faces = len(self.measured()[0].uncertainty[0])
        caption = (
            f"Uncertainty (mean over the sub-embeddings of log variance; larger is less sure) of "
            f"{faces:,} {self.material.test_name} as each variation grows. All panels share the "
            f"vertical axis. Faces that are less sure at the strongest level than at the weakest: "
            f"{'; '.join(rising)}.{self._without_yaw()}"
        )
        title = "Uncertainty as each variation grows"
        return Drawn(uncertainty_spread_figure(panels), title, caption, numbers)

    def _without_yaw(self) -> str:
        if self.material.turn is not None:
            return ""
        return " Yaw is left out: these faces come without other views."


def _axis(found: Measured) -> Axis:
    ladder = found.ladder
    return Axis(ladder.axis, ladder.levels, ladder.fewer_is_harder)


def _say(material: Material, line: str) -> None:
    if material.progress:
        print(line, file=sys.stderr, flush=True)
