"""Figures of what was judged beside the measures: error against discard, and reliability diagrams."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from urface.benchmarks.report import column_names
from urface.benchmarks.result import Result
from urface.metrics.intervals import Rate
from urface.metrics.rejection import DiscardCurve
from urface.metrics.reliability import Reliability

MOST_TASKS = 4  # of a benchmark; results.json has all
MOST_CURVES, MOST_PANELS = 8, 3
ARRAYS = ("edges", "counts", "events", "probability", "share", "low", "high")


def write_figures(results: Sequence[Result], folder: Path) -> list[Path]:
    """``folder``/discard-*.pdf, reliability-*.pdf and .png of each; their paths.

    One for each task of a benchmark, the first MOST_TASKS; models and scores share it, and those that find no
    room in it are in <name>-2 and on.
    """
    written: list[Path] = []
    names = _names(results)
    for benchmark in dict.fromkeys(result.benchmark for result in results):
        here = [(n, r) for n, r in zip(names, results, strict=True) if r.benchmark == benchmark]
        for kind, field in (("discard", "curve"), ("reliability", "reliability")):
            of = "discard" if kind == "discard" else "calibration"
            shown: dict[str, list[tuple[str, Any]]] = {}
            for name, result in here:
                for row in result.rows(of):
                    if row[field] is not None:
                        shown.setdefault(row["task"], []).append((name, row[field]))
            for task, found in list(shown.items())[:MOST_TASKS]:
                written += _write(kind, found, folder, f"{kind}-{_slug(benchmark)}-{_slug(task)}")
    return written


def _write(kind: str, found: list[tuple[str, Any]], folder: Path, name: str) -> list[Path]:
    from urface.figures.rates import discard_figure, reliability_figure
    from urface.figures.style import save_figure

    most = MOST_CURVES if kind == "discard" else MOST_PANELS
    written: list[Path] = []
    for number, start in enumerate(range(0, len(found), most), 1):
        part = found[start : start + most]
        if kind == "discard":
            figure = discard_figure([(n, _curve(values)) for n, values in part])
        else:
            figure = reliability_figure([(n, _diagram(values)) for n, values in part])
        written += save_figure(figure, folder, name if number == 1 else f"{name}-{number}")
    return written


def _names(results: Sequence[Result]) -> list[str]:
    keys = [(r.model["name"], r.model["digest"], r.options["score"]) for r in results]
    known = dict(zip(dict.fromkeys(keys), column_names(results), strict=True))
    return [known[key] for key in keys]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "task"


def _curve(values: dict[str, Any]) -> DiscardCurve:
    rest = {name: value for name, value in values.items() if name != "gain"}
    rates = tuple(Rate(**rate) for rate in values["rates"])
    return DiscardCurve(**{**rest, "shares": tuple(values["shares"]), "rates": rates})


def _diagram(values: dict[str, Any]) -> Reliability:
    arrays = {name: np.array([np.nan if x is None else x for x in values[name]]) for name in ARRAYS}
    return Reliability(**{**values, **arrays})
