"""What makes a figure hard to read, found by measuring its texts."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from urface.figures.style import house_style


def texts(figure: Figure) -> dict[str, list[Bbox]]:
    """The boxes, in pixels, of every text that is drawn."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    with house_style():
        canvas.draw()
    found: dict[str, list[Bbox]] = {}
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_visible() and text.get_text():
            box = text.get_window_extent(canvas.get_renderer())
            found.setdefault(text.get_text(), []).append(box)
    return found


def assert_readable(figure: Figure) -> None:
    """No text is cut off by the figure's edge, and none lies over another."""
    boxes = [(name, box) for name, group in texts(figure).items() for box in group]
    width, height = figure.bbox.width, figure.bbox.height
    for name, box in boxes:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, f"{name!r} is cut off: {box} of {width} x {height}"
    for i, (name, box) in enumerate(boxes):
        for other, its in boxes[i + 1 :]:
            shared = Bbox.intersection(box, its)
            over = shared is not None and min(shared.width, shared.height) > 1.0
            assert not over or name == other, f"{name!r} lies over {other!r}"
