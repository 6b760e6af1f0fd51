"""Claims about our own figures A and B."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure

from urface.figures.robustness import (
    Axis,
    Curve,
    Robustness,
    Spread,
    robustness_figure,
    uncertainty_spread_figure,
)

from .layout import assert_readable, texts

AXES = (
    Axis("side of the blur kernel (pixels)", (1, 7, 13, 19, 25, 31)),
    Axis("occluded share (%)", (0, 15, 30, 45, 60, 75)),
    Axis("size (pixels a side)", (112, 48, 32, 24, 16, 12, 8), fewer_is_harder=True),
    Axis("yaw (degrees)", (0, 15, 30, 45, 60, 75)),
)
NAMES = ("CosFace baseline", "+ variation augmentation", "+ confidence-aware, K = 16", "all")


def panels(names: tuple[str, ...] = NAMES, lowest: float = 0.6) -> list[Robustness]:
    made = []
    for axis in AXES:
        curves = []
        for number, name in enumerate(names):
            value = np.linspace(0.95 - 0.01 * number, lowest, len(axis.levels))
            curves.append(Curve(name, value, value - 0.02, value + 0.02))
        made.append(Robustness(axis, curves))
    return made


def spreads() -> list[Spread]:
    offsets = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    return [Spread(axis, np.linspace(-4, -3, len(axis.levels))[:, None] + offsets) for axis in AXES]


def bands(figure: Figure, panel: int) -> list[FillBetweenPolyCollection]:
    found = figure.axes[panel].collections
    return [c for c in found if isinstance(c, FillBetweenPolyCollection)]


def test_each_row_is_a_line_with_its_band_in_each_panel() -> None:
    made = panels()
    figure = robustness_figure(made)
    assert len(figure.axes) == 4
    for number, panel in enumerate(made):
        lines = [line for line in figure.axes[number].lines if line.get_label() in NAMES]
        assert len(lines) == len(NAMES)
        for curve, line, band in zip(panel.curves, lines, bands(figure, number), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), panel.axis.levels)
            np.testing.assert_allclose(line.get_ydata(), 100 * curve.value_L)
            extent = band.get_datalim(figure.axes[number].transData)
            assert extent.y0 == pytest.approx(100 * curve.low_L.min())
            assert extent.y1 == pytest.approx(100 * curve.high_L.max())


def test_every_level_has_its_tick_and_harder_is_to_the_right() -> None:
    figure = robustness_figure(panels())
    for axis, axes in zip(AXES, figure.axes, strict=True):
        assert axes.get_xlabel() == axis.name
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [
            f"{v:g}" for v in axis.levels
        ]
        pixels = axes.transData.transform([(level, 60.0) for level in axis.levels])[:, 0]
        assert (np.diff(pixels) > 0).all()


def test_panels_share_an_axis_that_holds_chance_and_every_band() -> None:
    for lowest in (0.9, 0.3):
        figure = robustness_figure(panels(lowest=lowest))
        limits = {axes.get_ylim() for axes in figure.axes}
        assert len(limits) == 1
        low, high = limits.pop()
        assert low <= min(50, 100 * (lowest - 0.02))
        assert high >= 100


@pytest.mark.parametrize("count", [1, 2, 4, 6, 8])
def test_the_legend_names_every_row_and_covers_nothing(count: int) -> None:
    names = tuple(f"row {number} with a name of its own" for number in range(count))
    figure = robustness_figure(panels(names))
    assert set(names) <= set(texts(figure))
    assert_readable(figure)
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_a_panel_less_is_drawn_without_it() -> None:
    assert len(robustness_figure(panels()[:3]).axes) == 3


def test_unknown_values_leave_a_gap() -> None:
    made = panels()
    made[0].curves[0].value_L[2] = made[0].curves[0].low_L[2] = np.nan
    figure = robustness_figure(made)
    assert np.isfinite(figure.axes[0].get_ylim()).all()


def test_median_and_quantiles_are_those_given() -> None:
    made = spreads()
    figure = uncertainty_spread_figure(made)
    for number, panel in enumerate(made):
        axes = figure.axes[number]
        np.testing.assert_allclose(axes.lines[0].get_ydata(), panel.quantiles_L5[:, 2])
        outer, inner = (band.get_datalim(axes.transData) for band in bands(figure, number))
        assert (outer.y0, outer.y1) == pytest.approx((-4.2, -2.8))
        assert (inner.y0, inner.y1) == pytest.approx((-4.1, -2.9))
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert_readable(figure)
