"""One figure of a benchmark beside its target: a line for the reader, a record for `make bench`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

RECORD = "URFACE_BENCH_RECORD"  # file to which figures are added, one JSON object a line


@dataclass(frozen=True)
class Figure:
    """What was measured, in ``unit``, and the ``target`` to stay under ("most") or to reach ("least").

    ``spread`` is the smallest and largest of the turns of which ``value`` is the median.
    """

    what: str
    value: float
    unit: str
    target: float | None = None
    side: Literal["most", "least"] = "most"
    spread: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.side == "most" else self.value >= self.target

    def measured(self) -> str:
        """The value with its unit and spread."""
        turns = (
            ""
            if self.spread is None
            else f" ({number(self.spread[0])} to {number(self.spread[1])})"
        )
        return f"{number(self.value)} {self.unit}".strip() + turns

    def aim(self) -> str:
        """The target in words."""
        if self.target is None:
            return "-"
        return f"at {self.side} {number(self.target)} {self.unit}".strip()

    def verdict(self) -> str:
        """met, missed, or nothing where there is no target."""
        return {True: "met", False: "missed", None: "-"}[self.met]


def number(value: float) -> str:
    """Three significant digits, thousands with commas."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def tell(figure: Figure) -> None:
    """Print the figure, and add it to the record where `make bench` keeps one."""
    print(f"{figure.what}: {figure.measured()}; {figure.aim()}: {figure.verdict()}", flush=True)
    record = os.environ.get(RECORD)
    if record:
        with Path(record).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(figure)) + "\n")
