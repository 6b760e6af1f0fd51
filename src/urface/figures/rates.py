"""Figures of error rates: ROC, DET, error against discard, and the reliability diagram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy.special import ndtr, ndtri

from urface.figures.style import (
    MUTED,
    PAGE_WIDTH,
    RULE,
    axes_at,
    house_style,
    line_style,
    new_figure,
)
from urface.metrics.curves import Det
from urface.metrics.rejection import DiscardCurve
from urface.metrics.reliability import Reliability

WIDE, TALL, LEFT = 2.75, 2.35, 0.62
DET_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5)


def roc_figure(curves: Sequence[tuple[str, Det]]) -> Figure:
    """TAR in percent over FAR on a logarithmic axis, with 95 % bands; only where the data support it."""
    with house_style():
        figure, axes = _panel(len(curves))
        for number, (name, det) in enumerate(curves):
            style = _line(number, len(det.fmr))
            shown = det.fmr > 0
            axes.fill_between(
                det.fmr[shown], 100 * (1 - det.high[shown]), 100 * (1 - det.low[shown]),
                color=style["color"], alpha=0.13, linewidth=0,
            )  # fmt: skip
            axes.plot(det.fmr[shown], 100 * (1 - det.fnmr[shown]), label=name, **style)
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("false-accept rate")
        axes.set_ylabel("true-accept rate (%)")
        axes.set_ylim(top=100.5)
        _finish(figure, axes, [name for name, _ in curves])
    return figure


def det_figure(curves: Sequence[tuple[str, Det]]) -> Figure:
    """FNMR over FMR, both on the scale of normal deviates: two normals of one width make a straight line."""
    with house_style():
        figure, axes = _panel(len(curves))
        floor = 0.5
        for number, (name, det) in enumerate(curves):
            style = _line(number, len(det.fmr))
            # An end of 0 or 1 lies at no place of this scale.
            shown = (det.fmr > 0) & (det.fmr < 1) & (det.fnmr > 0) & (det.fnmr < 1)
            x, low, high = (
                ndtri(np.clip(part[shown], 1e-9, 1 - 1e-9)) for part in (det.fmr, det.low, det.high)
            )
            axes.fill_between(x, low, high, color=style["color"], alpha=0.13, linewidth=0)
            axes.plot(x, ndtri(det.fnmr[shown]), label=name, **style)
            if shown.any():
                floor = min(floor, float(det.fmr[shown].min()), float(det.fnmr[shown].min()))
        ticks = [tick for tick in DET_TICKS if tick >= floor / 2]
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([float(ndtri(tick)) for tick in ticks]))
            axis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * ndtr(x):.3g}"))
            axis.set_minor_locator(NullLocator())
        limits = (float(ndtri(floor / 2)), float(ndtri(0.6)))
        axes.set_xlim(*limits)
        axes.set_ylim(*limits)
        axes.plot(limits, limits, color=MUTED, linewidth=0.6, linestyle=(0, (1, 2)))
        axes.set_xlabel("false-match rate (%)")
        axes.set_ylabel("false-non-match rate (%)")
        _finish(figure, axes, [name for name, _ in curves])
    return figure


def discard_figure(curves: Sequence[tuple[str, DiscardCurve]]) -> Figure:
    """Error in percent among the trials kept, by the share of the least sure ones set aside, with bands."""
    with house_style():
        figure, axes = _panel(len(curves))
        for number, (name, curve) in enumerate(curves):
            style = line_style(number)
            shares = 100 * np.array(curve.shares)
            low, value, high = (
                np.array([100 * getattr(rate, part) for rate in curve.rates])
                for part in ("low", "value", "high")
            )
            axes.fill_between(shares, low, high, color=style["color"], alpha=0.13, linewidth=0)
            axes.plot(shares, value, label=name, **style)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("least sure trials set aside (%)")
        axes.set_ylabel("error among the others (%)")
        _finish(figure, axes, [name for name, _ in curves])
    return figure


def reliability_figure(diagrams: Sequence[tuple[str, Reliability]]) -> Figure:
    """Share that is true over the probability stated, a panel each, with 95 % intervals and a count below.

    On the line is right; below it the probability was too high. A panel says its expected calibration error.
    """
    count = len(diagrams)
    gap = 0.3
    width = min(2.2, (PAGE_WIDTH - LEFT - 0.1 - gap * (count - 1)) / count)
    with house_style():
        figure = new_figure(LEFT + count * width + (count - 1) * gap + 0.1, width + 1.35)
        for number, (name, shown) in enumerate(diagrams):
            left = LEFT + number * (width + gap)
            axes = axes_at(figure, left, 0.42, width, width)
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.6, linestyle=(0, (1, 2)))
            held = shown.counts > 0
            style = line_style(number)
            axes.errorbar(
                shown.probability[held],
                shown.share[held],
                yerr=[(shown.share - shown.low)[held], (shown.high - shown.share)[held]],
                elinewidth=0.8,
                **style,
            )
            axes.set_title(
                f"{name}\nECE {shown.ece:.3f} [{shown.ece_low:.3f}, {shown.ece_high:.3f}]", pad=4
            )
            below = axes_at(figure, left, 0.42 + width + 0.08, width, 0.38)
            below.bar(
                shown.edges[:-1], shown.counts, np.diff(shown.edges), align="edge",
                color=RULE, edgecolor="white", linewidth=0.4,
            )  # fmt: skip
            for box in (axes, below):
                box.set_xlim(0, 1)
            axes.set_xticklabels([])
            axes.set_ylim(0, 1)
            axes.grid(axis="both")
            axes.set_axisbelow(True)
            below.set_xlabel("probability of a match")
            below.set_yticks([0, int(shown.counts.max())], ["0", f"{int(shown.counts.max()):,}"])
            if number:
                axes.set_yticklabels([])
            else:
                axes.set_ylabel("share that matches")
                below.set_ylabel("pairs")
    return figure


def _panel(curves: int) -> tuple[Figure, Axes]:
    header = 0.1 + 0.15 * curves
    figure = new_figure(LEFT + WIDE + 0.1, header + TALL + 0.5)
    return figure, axes_at(figure, LEFT, header, WIDE, TALL)


def _line(number: int, points: int) -> dict[str, Any]:
    """A line's style with some ten markers, however many points it has."""
    return {**line_style(number), "markevery": max(1, points // 10)}


def _finish(figure: Figure, axes: Axes, names: Sequence[str]) -> None:
    axes.grid(axis="both")
    axes.set_axisbelow(True)
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_ticks([tick for tick in axis.get_ticklocs() if low <= tick <= high])
    handles = [Line2D([], [], label=name, **line_style(i)) for i, name in enumerate(names)]
    figure.legend(handles=handles, loc="upper center", handlelength=3.2, borderaxespad=0.2)
