"""How every figure looks, in one place: sizes, letters, colours, and how a figure reaches the disk.

Lengths are in inches at the size of print, so that a letter of 7 points is one on paper too. Colours are
the eight of Okabe and Ito ("Color universal design", 2008), which people with any colour blindness tell
apart; whatever a colour says, a marker, a dash or a letter says too, for prints in grey.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from urface.atomic import atomic_path
from urface.evaluation.heat import sequential_colour

PAGE_WIDTH = 6.9  # both columns of a conference page
DPI = 300
INK, MUTED, RULE = "#1b1e22", "#575e66", "#c9cac6"
BLUE, VERMILLION, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"
PURPLE, ORANGE, SKY, YELLOW = "#CC79A7", "#E69F00", "#56B4E9", "#F0E442"
PALETTE = (BLUE, VERMILLION, GREEN, BLACK, PURPLE, ORANGE, SKY, YELLOW)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = (
    "-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)),
    (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (2, 2)), (0, (1, 3)),
)  # fmt: skip

# Dark is sure, light is unsure, as in the report; lightness alone tells the order.
HEAT = LinearSegmentedColormap.from_list(
    "uncertainty", [sequential_colour(i / 63) for i in range(64)]
)

_RULES: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so a figure is the same everywhere
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e5e1",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.6,
    "pdf.fonttype": 42,  # letters stay letters: they can be searched, and journals ask for it
    "svg.hashsalt": "urface",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's settings while a figure is made or saved; the caller's own come back after."""
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_RULES}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` x ``height`` inches that belongs to no window."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the figure's left and top edges: nothing moves when text grows."""
    across, down = figure.get_size_inches()
    box = (left / across, 1 - (top + height) / down, width / across, height / down)
    return figure.add_axes(box)


def text_at(figure: Figure, left: float, top: float, text: str, **more: Any) -> None:
    """Text at a place in inches from the figure's left and top edges."""
    across, down = figure.get_size_inches()
    figure.text(left / across, 1 - top / down, text, **more)


def show_face(axes: Axes, image: np.ndarray, frame: str | None = None, width: float = 1.4) -> None:
    """``image`` [H, W, 3] uint8 without ticks; ``frame`` is the colour of its edge."""
    axes.imshow(image, interpolation="nearest", aspect="auto")
    bare(axes)
    for spine in axes.spines.values():
        spine.set_visible(frame is not None)
        if frame is not None:
            spine.set_color(frame)
            spine.set_linewidth(width)


def bare(axes: Axes) -> None:
    """No ticks: the place in it means nothing."""
    axes.set_xticks([])
    axes.set_yticks([])


def line_style(number: int) -> dict[str, Any]:
    """Colour, dash and marker of the ``number``-th line; no two of the first eight agree in any."""
    at = number % len(PALETTE)
    return {"color": PALETTE[at], "linestyle": DASHES[at], "marker": MARKERS[at]}


def save_figure(figure: Figure, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Write ``name``.pdf (vectors) and ``name``.png (300 dpi) to ``folder``; the two paths.

    Each is whole or not there, and its bytes depend on the figure alone: no date is written.
    """
    paths = (Path(folder) / f"{name}.pdf", Path(folder) / f"{name}.png")
    for path, metadata in zip(paths, ({"CreationDate": None}, {"Software": None}), strict=True):
        with house_style(), atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata=metadata)
    return paths


def to_jpeg(figure: Figure, most_bytes: int = 290_000) -> bytes:
    """The figure as a light JPEG for a page of documentation: 200 dpi, fewer where it would be heavy."""
    for dpi in (200, 170, 140, 110):
        memory = BytesIO()
        with house_style():
            figure.savefig(memory, format="jpeg", dpi=dpi, pil_kwargs={"quality": 88})
        if memory.tell() <= most_bytes:
            break
    return memory.getvalue()
