"""Claims about the page of all figures."""

from __future__ import annotations

import base64
import re

from urface.figures.page import Entry, figures_page

ATTACK = "\"'><script>alert(1)</script>&amp;"


def test_the_page_holds_every_figure_and_asks_nothing_of_any_other_place() -> None:
    page = figures_page([Entry("1", "One", "why", b"png1"), Entry("A", "Ours", "how", b"png2")], {})
    assert re.findall(r"<h2[^>]*>([^<]*)<", page) == ["Figure 1. One", "Figure A. Ours"]
    pictures = re.findall(r'src="([^"]*)"', page)
    assert pictures == [
        "data:image/png;base64," + base64.b64encode(data).decode() for data in (b"png1", b"png2")
    ]
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert "default-src 'none'" in page


def test_what_is_left_out_is_said_with_its_reason() -> None:
    page = figures_page([Entry("1", "One", "why", b"")], {"4": "no baseline"})
    assert "Figure 4: no baseline" in page


def test_every_string_is_escaped() -> None:
    page = figures_page([Entry("1", ATTACK, ATTACK, b"")], {"2": ATTACK})
    assert "<script" not in page
