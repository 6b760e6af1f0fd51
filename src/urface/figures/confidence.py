"""Figure 1: how sure each sub-embedding is of the training samples, and of which ones it is so."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from urface.figures.style import (
    BLUE,
    MUTED,
    PAGE_WIDTH,
    VERMILLION,
    axes_at,
    house_style,
    new_figure,
    show_face,
    text_at,
)

COLUMNS = 4
EXAMPLES = 3  # faces at either end
BINS = 36
LEFT, TOP, BOTTOM = 0.04, 0.36, 0.22
FACE, GAP, PITCH, BETWEEN = 0.30, 0.03, 1.28, 0.16


def extremes(
    confidence_NK: np.ndarray, people_N: np.ndarray, count: int = EXAMPLES
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the least and most confident samples per sub-embedding: low, high, each [K, count].

    At most one sample of a person at either end, so that one odd face does not fill it. Raises
    ValueError where there are fewer than ``count`` people.
    """
    if len(np.unique(people_N)) < count:
        raise ValueError(f"{count} people are needed, got {len(np.unique(people_N))}")
    low, high = [], []
    for column in confidence_NK.T:
        order = np.argsort(column, kind="stable")
        low.append(_first_of_each(order, people_N, count))
        high.append(_first_of_each(order[::-1], people_N, count))
    return np.array(low), np.array(high)


def _first_of_each(order: np.ndarray, people_N: np.ndarray, count: int) -> list[int]:
    chosen: dict[int, int] = {}
    for place in order.tolist():
        chosen.setdefault(int(people_N[place]), place)
        if len(chosen) == count:
            break
    return list(chosen.values())


def confidence_figure(
    confidence_NK: np.ndarray,
    augmented_N: np.ndarray,
    people_N: np.ndarray,
    images: Sequence[np.ndarray],
) -> Figure:
    """One panel per sub-embedding: the distribution of s, its least sure faces left, its surest right.

    confidence_NK  s > 0 of N training samples (original and augmented ones) in K sub-embeddings
    augmented_N    bool, whether something was done to the sample
    people_N       who is in it
    images         N faces [H, W, 3] uint8, as the network saw them

    All panels share both axes: densities can be compared between sub-embeddings.
    """
    sub_embeddings = confidence_NK.shape[1]
    rows = math.ceil(sub_embeddings / COLUMNS)
    low, high = extremes(confidence_NK, people_N)
    limits = np.quantile(confidence_NK, [0.0005, 0.9995])
    pad = 0.04 * (limits[1] - limits[0]) or 0.5
    edges = np.linspace(limits[0] - pad, limits[1] + pad, BINS + 1)
    with house_style():
        figure = new_figure(PAGE_WIDTH, TOP + rows * PITCH + BOTTOM)
        width = (PAGE_WIDTH - 2 * LEFT + BETWEEN) / COLUMNS - BETWEEN
        panels = []
        for k in range(sub_embeddings):
            left = LEFT + (k % COLUMNS) * (width + BETWEEN)
            top = TOP + (k // COLUMNS) * PITCH
            for i in range(EXAMPLES):
                down = top + i * (FACE + GAP)
                show_face(axes_at(figure, left, down, FACE, FACE), images[low[k, i]])
                across = left + width - FACE
                show_face(axes_at(figure, across, down, FACE, FACE), images[high[k, i]])
            box = width - 2 * (FACE + 0.05)
            axes = axes_at(figure, left + FACE + 0.05, top, box, EXAMPLES * (FACE + GAP) - GAP)
            values = confidence_NK[:, k]
            # Clipped, so that what lies outside the shared axis is counted in its last bins.
            inside, bins = np.clip(values, edges[0], edges[-1]), edges.tolist()
            if not augmented_N.all():
                axes.hist(
                    inside[~augmented_N], bins, density=True, histtype="stepfilled",
                    color=BLUE, alpha=0.45,
                )  # fmt: skip
            if augmented_N.any():
                axes.hist(
                    inside[augmented_N], bins, density=True, histtype="step",
                    color=VERMILLION, linewidth=1.0,
                )  # fmt: skip
            axes.axvline(
                float(np.median(values)), color=MUTED, linewidth=0.7, linestyle=(0, (2, 2))
            )
            axes.set_title(f"$k$ = {k + 1}", pad=2)
            axes.set_xlim(edges[0], edges[-1])
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.xaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=2))
            axes.tick_params(axis="x", pad=1.5)
            panels.append(axes)
        tallest = max(axes.get_ylim()[1] for axes in panels)
        for axes in panels:
            axes.set_ylim(0, tallest)
        last = TOP + rows * PITCH + 0.06
        text_at(figure, PAGE_WIDTH / 2, last, "confidence $s$ (larger is surer)", ha="center")
        text_at(figure, LEFT, last, "faces at the left: least sure", color=MUTED)
        text_at(
            figure, PAGE_WIDTH - LEFT, last, "faces at the right: surest", color=MUTED, ha="right"
        )
        figure.legend(
            handles=[
                Patch(facecolor=BLUE, alpha=0.45, label="original samples"),
                Patch(facecolor="none", edgecolor=VERMILLION, label="augmented samples"),
            ],
            loc="upper center",
            ncols=2,
            borderaxespad=0.1,
        )
    return figure
