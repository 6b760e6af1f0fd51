"""Our own two figures: accuracy, and uncertainty, as each variation grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from urface.figures.style import (
    BLUE,
    MUTED,
    PAGE_WIDTH,
    axes_at,
    house_style,
    line_style,
    new_figure,
)

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEFT, RIGHT, GAP, PANEL, PITCH = 0.62, 0.08, 0.58, 1.45, 1.98


@dataclass(frozen=True)
class Axis:
    """What grows along a panel: its name with its unit, its L levels from nothing to the strongest.

    ``fewer_is_harder`` draws a logarithmic axis of falling numbers, such as pixels.
    """

    name: str
    levels: Sequence[float]
    fewer_is_harder: bool = False


@dataclass(frozen=True, eq=False)
class Curve:
    """A line: shares 0..1 at the L levels with the ends of their 95 % intervals, NaN where unknown."""

    name: str
    value_L: np.ndarray
    low_L: np.ndarray
    high_L: np.ndarray


@dataclass(frozen=True, eq=False)
class Robustness:
    """A panel of figure A."""

    axis: Axis
    curves: Sequence[Curve]


@dataclass(frozen=True, eq=False)
class Spread:
    """A panel of figure B: quantiles [L, 5] (QUANTILES) of an uncertainty over faces."""

    axis: Axis
    quantiles_L5: np.ndarray


def robustness_figure(panels: Sequence[Robustness]) -> Figure:
    """Accuracy in percent against each variation, a line with its band per row; harder to the right.

    All panels share the vertical axis, whose lower end is chance or the lowest band, whichever is lower.
    """
    names = [curve.name for curve in panels[0].curves]
    columns = 2 if len(names) in (2, 4) or max(map(len, names)) > 30 else 3
    header = 0.12 + 0.15 * math.ceil(len(names) / columns)
    lowest = min(np.nanmin(curve.low_L) for panel in panels for curve in panel.curves)
    bottom = min(48.0, 5 * math.floor(20 * float(lowest)))
    with house_style():
        figure, boxes = _grid(len(panels), header + 0.12)
        for panel, axes in zip(panels, boxes, strict=True):
            _level_axis(axes, panel.axis)
            for number, curve in enumerate(panel.curves):
                style = line_style(number)
                axes.fill_between(
                    panel.axis.levels, 100 * curve.low_L, 100 * curve.high_L,
                    color=style["color"], alpha=0.13, linewidth=0,
                )  # fmt: skip
                axes.plot(panel.axis.levels, 100 * curve.value_L, label=curve.name, **style)
            axes.set_ylim(bottom, 101)
            axes.axhline(50, color=MUTED, linewidth=0.6, linestyle=(0, (1, 2)))
            axes.annotate(
                "chance", (axes.get_xlim()[0], 50), xytext=(3, 1.5), textcoords="offset points",
                color=MUTED, size=6,
            )  # fmt: skip
        for axes in boxes[::2]:
            axes.set_ylabel("accuracy (%)")
        handles = [Line2D([], [], label=name, **line_style(i)) for i, name in enumerate(names)]
        figure.legend(
            handles=handles, loc="upper center", ncols=columns, handlelength=3.2, borderaxespad=0.2
        )
    return figure


def uncertainty_spread_figure(panels: Sequence[Spread]) -> Figure:
    """Median uncertainty against each variation with bands of quantiles; harder to the right."""
    with house_style():
        figure, boxes = _grid(len(panels), 0.34)
        values = np.concatenate([panel.quantiles_L5.ravel() for panel in panels])
        pad = 0.05 * float(np.nanmax(values) - np.nanmin(values)) or 0.1
        limits = (float(np.nanmin(values)) - pad, float(np.nanmax(values)) + pad)
        for panel, axes in zip(panels, boxes, strict=True):
            _level_axis(axes, panel.axis)
            for outer, alpha in ((0, 0.16), (1, 0.30)):
                axes.fill_between(
                    panel.axis.levels, panel.quantiles_L5[:, outer], panel.quantiles_L5[:, 4 - outer],
                    color=BLUE, alpha=alpha, linewidth=0,
                )  # fmt: skip
            axes.plot(panel.axis.levels, panel.quantiles_L5[:, 2], **line_style(0))
            axes.set_ylim(*limits)
        for axes in boxes[::2]:
            axes.set_ylabel(r"uncertainty (mean $\log\,\sigma^2$)")
        figure.legend(
            handles=[
                Line2D([], [], label="median", **line_style(0)),
                Patch(color=BLUE, alpha=0.42, linewidth=0, label="half of the faces"),
                Patch(color=BLUE, alpha=0.16, linewidth=0, label="90 % of the faces"),
            ],
            loc="upper center",
            ncols=3,
            borderaxespad=0.2,
        )
    return figure


def _grid(count: int, header: float) -> tuple[Figure, list[Axes]]:
    """``count`` panels in two columns below a header for the legend."""
    rows = math.ceil(count / 2)
    width = (PAGE_WIDTH - LEFT - RIGHT - GAP) / 2
    figure = new_figure(PAGE_WIDTH, header + rows * PITCH - (PITCH - PANEL) + 0.42)
    boxes = [
        axes_at(
            figure, LEFT + i % 2 * (width + GAP), header + i // 2 * PITCH, width, PANEL
        )
        for i in range(count)
    ]  # fmt: skip
    return figure, boxes


def _level_axis(axes: Axes, axis: Axis) -> None:
    """Every level has its tick, so that a reader sees where something was measured."""
    first, last = axis.levels[0], axis.levels[-1]
    if axis.fewer_is_harder:
        axes.set_xscale("log")
        axes.set_xlim(first * 1.06, last / 1.06)
    else:
        margin = 0.025 * (last - first)
        axes.set_xlim(first - margin, last + margin)
    axes.set_xticks(list(axis.levels), [f"{level:g}" for level in axis.levels])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(axis.name, labelpad=2)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
