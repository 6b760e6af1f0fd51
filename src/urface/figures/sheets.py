"""Figure 5: example sheets of the test sets, type I (limited variation), II (mixed), III (low quality)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from urface.figures.style import PAGE_WIDTH, axes_at, house_style, new_figure, show_face, text_at

COLUMNS = 12
LEFT, TITLE, GAP = 0.04, 0.2, 0.03


@dataclass(frozen=True, eq=False)
class Sheet:
    """A test set: its title and some of its faces [H, W, 3] uint8, of any size."""

    title: str
    images: Sequence[np.ndarray]


def sheets_figure(sheets: Sequence[Sheet], columns: int = COLUMNS) -> Figure:
    """The sheets one below the other, lettered (a), (b), ..., ``columns`` faces in a row."""
    side = (PAGE_WIDTH - 2 * LEFT + GAP) / columns - GAP
    rows = [math.ceil(len(sheet.images) / columns) for sheet in sheets]
    height = sum(TITLE + count * (side + GAP) + 0.08 for count in rows)
    with house_style():
        figure = new_figure(PAGE_WIDTH, height)
        top = 0.0
        for number, (sheet, count) in enumerate(zip(sheets, rows, strict=True)):
            title = f"({chr(ord('a') + number)}) {sheet.title}"
            text_at(figure, LEFT, top + 0.14, title, weight="bold", size=7.5)
            top += TITLE
            for place, image in enumerate(sheet.images):
                left = LEFT + (place % columns) * (side + GAP)
                down = top + (place // columns) * (side + GAP)
                show_face(axes_at(figure, left, down, side, side), image)
            top += count * (side + GAP) + 0.08
    return figure
