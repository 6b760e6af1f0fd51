"""Figures 2 and 3: faces from clear to extreme, each beside the uncertainties of its K sub-embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from urface.figures.style import (
    HEAT,
    MUTED,
    PAGE_WIDTH,
    axes_at,
    bare,
    house_style,
    new_figure,
    show_face,
    text_at,
)

LEFT, TITLE, CAPTION, BAR = 0.04, 0.20, 0.15, 0.52
OUTSIDE = 0.01  # share of values that may lie beyond either end of the colour scale


def heat_square(variance_K: np.ndarray) -> np.ndarray:
    """The K values row by row in the smallest square that holds them, NaN where it has no value."""
    side = math.ceil(math.sqrt(len(variance_K)))
    square = np.full(side * side, np.nan)
    square[: len(variance_K)] = variance_K
    return square.reshape(side, side)


def shared_scale(variance: np.ndarray) -> LogNorm:
    """One logarithmic scale for all ``variance`` values, less the most extreme hundredth at each end."""
    low, high = np.quantile(variance, [OUTSIDE, 1 - OUTSIDE])
    if not high > low:
        low, high = low / 1.1, high * 1.1
    return LogNorm(float(low), float(high))


def distinct_texts(values: Sequence[float]) -> list[str]:
    """The values with as few digits, two or more, as make their texts differ and evenly long."""
    for digits in range(2, 8):
        # The alternate form keeps closing zeros: 0.020, not 0.02 beside 0.018.
        texts = [f"{value:#.{digits}g}".removesuffix(".") for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def uncertainty_figure(
    images: Sequence[Sequence[np.ndarray]],
    variance_RCK: np.ndarray,
    titles: Sequence[str] = (),
) -> Figure:
    """R x C faces, each with a square of its K uncertainties at its right.

    images        R rows of C faces [H, W, 3] uint8
    variance_RCK  sigma^2 > 0 of each; larger is less sure
    titles        C headings of the columns, or none

    All squares share one colour scale, which the bar below explains. Under each face stands its mean
    log sigma^2.
    """
    rows, columns, _ = variance_RCK.shape
    norm = shared_scale(variance_RCK)
    top = TITLE if titles else 0.06
    cell = (PAGE_WIDTH - LEFT) / columns
    side = (cell - 0.12) / 2
    pitch = side + CAPTION + 0.03
    with house_style():
        figure = new_figure(PAGE_WIDTH, top + rows * pitch + BAR)
        for c, title in enumerate(titles):
            text_at(figure, LEFT + c * cell + side, 0.13, title, ha="center", weight="bold")
        for r in range(rows):
            for c in range(columns):
                left, down = LEFT + c * cell, top + r * pitch
                show_face(axes_at(figure, left, down, side, side), images[r][c])
                axes = axes_at(figure, left + side + 0.02, down, side, side)
                square = np.ma.masked_invalid(heat_square(variance_RCK[r, c]))
                axes.imshow(square, cmap=HEAT, norm=norm, interpolation="nearest", aspect="auto")
                bare(axes)
                axes.spines[:].set_visible(True)
                mean = float(np.log(variance_RCK[r, c]).mean())
                label = f"{mean:.2f}".replace("-", "\N{MINUS SIGN}")
                middle = left + side + 0.01
                text_at(figure, middle, down + side + 0.1, label, ha="center", color=MUTED, size=6)
        base = top + rows * pitch + 0.06
        bar_axes = axes_at(figure, PAGE_WIDTH / 2 - 1.2, base, 2.4, 0.09)
        bar = figure.colorbar(
            ScalarMappable(norm, HEAT), cax=bar_axes, orientation="horizontal", extend="both"
        )
        # Few round numbers, however short the scale: a logarithmic axis of less than a decade has none.
        ticks = np.asarray(norm.inverse(np.linspace(0, 1, 5).tolist())).tolist()
        bar.set_ticks(ticks, labels=distinct_texts(ticks))
        bar_axes.minorticks_off()
        bar.outline.set_linewidth(0.5)
        bar.set_label(r"uncertainty $\sigma^2$ of a sub-embedding (logarithmic)", labelpad=1)
        note = r"below each: mean $\log\,\sigma^2$"
        text_at(figure, LEFT, base + 0.09, note, color=MUTED, size=6)
        text_at(figure, PAGE_WIDTH / 2 - 1.32, base + 0.09, "sure", ha="right", color=MUTED)
        text_at(figure, PAGE_WIDTH / 2 + 1.32, base + 0.09, "unsure", ha="left", color=MUTED)
    return figure
