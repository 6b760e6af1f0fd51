"""Claims about figure 5."""

from __future__ import annotations

import numpy as np

from urface.figures.sheets import Sheet, sheets_figure

from .layout import assert_readable, texts


def faces(count: int, side: int = 8) -> list[np.ndarray]:
    return [np.full((side, side, 3), number, np.uint8) for number in range(count)]


def test_each_sheet_shows_its_faces_in_order_below_its_title() -> None:
    figure = sheets_figure([Sheet("type I", faces(5)), Sheet("type II", faces(3))], columns=4)
    assert len(figure.axes) == 8
    shown = [int(np.asarray(axes.images[0].get_array()).ravel()[0]) for axes in figure.axes]
    assert shown == [0, 1, 2, 3, 4, 0, 1, 2]
    found = texts(figure)
    assert {"(a) type I", "(b) type II"} <= set(found)
    tops = [axes.get_position().y1 for axes in figure.axes]
    assert tops[0] == tops[3] > tops[4] > tops[5]
    assert_readable(figure)


def test_faces_of_any_size_take_the_same_square() -> None:
    figure = sheets_figure([Sheet("mixed", faces(2, 10) + faces(2, 112))], columns=4)
    sizes = {tuple(np.round(axes.get_window_extent().size, 3)) for axes in figure.axes}
    assert len(sizes) == 1
    (width, height), *_ = sizes
    assert abs(width - height) < 0.5


def test_squares_never_overlap() -> None:
    figure = sheets_figure([Sheet("I", faces(30)), Sheet("II", faces(13))])
    boxes = [axes.get_window_extent() for axes in figure.axes]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
