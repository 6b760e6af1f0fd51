"""Figure 4: training samples of a few people in two dimensions, original and augmented, per method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from urface.figures.style import (
    INK,
    MUTED,
    PAGE_WIDTH,
    PALETTE,
    axes_at,
    bare,
    house_style,
    new_figure,
    show_face,
    text_at,
)
from urface.types import UserError

MOST_PEOPLE = len(PALETTE)
PERPLEXITY = 20.0
MARGIN, GAP, TOP, STRIP = 0.05, 0.12, 0.24, 0.72


@dataclass(frozen=True, eq=False)
class Map:
    """A panel: its title and the places [N, 2] that ``project`` found."""

    title: str
    places_N2: np.ndarray


def project(mean_NKD: np.ndarray, seed: int = 0) -> np.ndarray:
    """Sub-embeddings to places [N, 2] by t-SNE on the mean of their K cosines; the same for a seed.

    van der Maaten and Hinton (2008) as scikit-learn computes it, started from the principal components.
    Only who is whose neighbour means anything: lengths, sizes of clusters and axes do not. Raises
    UserError where scikit-learn is missing.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise UserError("figure 4 needs scikit-learn: pip install scikit-learn") from None
    count, sub_embeddings, _ = mean_NKD.shape
    # Squared distances of these are 2 - 2 x the mean of the K cosines.
    points = np.asarray(mean_NKD, np.float64).reshape(count, -1) / np.sqrt(sub_embeddings)
    perplexity = min(PERPLEXITY, max((count - 1) / 3, 1.0))
    model = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    places: np.ndarray = model.fit_transform(points)
    return places


def tsne_figure(
    maps: Sequence[Map],
    people_N: np.ndarray,
    augmented_N: np.ndarray,
    faces: Sequence[np.ndarray],
) -> Figure:
    """The maps side by side. Colour and letter: who; circle: original; triangle: augmented.

    people_N     [N] 0 to P - 1, at most MOST_PEOPLE people
    augmented_N  [N] bool
    faces        P faces [H, W, 3] uint8, the key to the colours
    """
    number = len(faces)
    if number > MOST_PEOPLE:
        raise ValueError(f"{MOST_PEOPLE} colours can be told apart, got {number} people")
    side = (PAGE_WIDTH - 2 * MARGIN - GAP * (len(maps) - 1)) / max(len(maps), 2)
    with house_style():
        figure = new_figure(PAGE_WIDTH, TOP + side + STRIP)
        for place, chart in enumerate(maps):
            axes = axes_at(figure, MARGIN + place * (side + GAP), TOP, side, side)
            axes.set_title(f"({'abcdefgh'[place]}) {chart.title}", pad=4)
            bare(axes)
            axes.spines[:].set_visible(True)
            # Augmented first: the fewer, surer originals stay on top of them.
            for kind, marker, size in ((True, "^", 11), (False, "o", 13)):
                for person in range(number):
                    mine = chart.places_N2[(people_N == person) & (augmented_N == kind)]
                    axes.scatter(
                        mine[:, 0], mine[:, 1], size, PALETTE[person], marker=marker,
                        alpha=0.75 if kind else 1.0, linewidths=0.25,
                        edgecolors="white" if PALETTE[person] == "#000000" else INK,
                    )  # fmt: skip
            for person in range(number):
                mine = chart.places_N2[(people_N == person) & ~augmented_N]
                if len(mine):
                    axes.annotate(
                        letter(person), _most_central(mine), xytext=(5, 5),
                        textcoords="offset points", weight="bold", size=8,
                        bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": PALETTE[person],
                              "lw": 1.0, "alpha": 0.9},
                    )  # fmt: skip
            axes.margins(0.06)
        _key(figure, faces, TOP + side + 0.1)
    return figure


def letter(person: int) -> str:
    """What a person is called in the figure: A, B, ..."""
    return chr(ord("A") + person)


def _most_central(places: np.ndarray) -> tuple[float, float]:
    """The place with the least sum of distances to the others: one where something is drawn."""
    distances = np.linalg.norm(places[:, None] - places[None], axis=2).sum(1)
    x, y = places[int(np.argmin(distances))]
    return float(x), float(y)


def _key(figure: Figure, faces: Sequence[np.ndarray], top: float) -> None:
    """A face of each person in their colour, and what the two markers mean."""
    pitch = 0.6
    for person, face in enumerate(faces):
        left = MARGIN + 0.16 + person * pitch
        axes = axes_at(figure, left, top, 0.42, 0.42)
        show_face(axes, face, PALETTE[person], 2.0)
        text_at(figure, left - 0.04, top + 0.25, letter(person), ha="right", weight="bold")
    marks = [
        Line2D([], [], marker=m, ls="", mfc="#9a9fa5", mec=INK, mew=0.25, ms=4.5, label=label)
        for m, label in (("o", "original sample"), ("^", "augmented sample"))
    ]
    across, down = figure.get_size_inches()
    where = (1 - MARGIN / across, 1 - (top + 0.21) / down)
    figure.legend(handles=marks, loc="center right", bbox_to_anchor=where, borderaxespad=0)
    text_at(
        figure, MARGIN, top + 0.56, "t-SNE has no units: only neighbourhoods mean something.",
        color=MUTED, size=6,
    )  # fmt: skip
