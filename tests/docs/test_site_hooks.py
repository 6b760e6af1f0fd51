"""What the site's hooks make of notebooks, docstrings and GitHub's Markdown."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

import urface

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(autouse=True)
def beside_the_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def page_of(*cells: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    from notebook_pages import page_of

    title = {"cell_type": "markdown", "source": ["# A title\n", "and prose"]}
    return page_of({"cells": [title, *cells]}, "made")


def test_a_notebook_becomes_prose_code_and_what_it_printed() -> None:
    page, pictures = page_of(code("print(1)\nx = 2", printed("1\n")))
    assert page.startswith("# A title\nand prose\n\n")
    assert "```python\nprint(1)\nx = 2\n```" in page
    assert "<div class='output' markdown>\n\n```text\n1\n```\n\n</div>" in page
    assert page.index("print(1)") < page.index("```text")
    assert "(made.ipynb)" in page
    assert pictures == {}


def test_a_picture_becomes_a_file_and_html_is_left_out() -> None:
    png = base64.b64encode(b"pixels").decode()
    drawn = {"image/png": png, "text/html": "<img src='https://example.org'>", "text/plain": "x"}
    page, pictures = page_of(code("draw()", {"output_type": "display_data", "data": drawn}))
    assert pictures == {"made_1.png": b"pixels"}
    assert "](made_1.png)" in page
    assert "example.org" not in page


def test_backticks_in_an_output_do_not_end_its_fence() -> None:
    page, _ = page_of(code("x()", printed("```\n<script>")))
    assert "````text\n```\n<script>\n````" in page


def test_a_notebook_with_a_failed_cell_is_not_published() -> None:
    failed = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}
    with pytest.raises(ValueError, match="a cell failed: ValueError: no"):
        page_of(code("x()", failed))


def test_lists_get_the_empty_line_that_python_markdown_wants() -> None:
    from site_hooks import as_on_github

    text = "Two things:\n- one\n  and more\n- two\n\n1. a\n2. b\n```\nx\n- kept\n```\n    - code"
    assert as_on_github(text, lambda found: found[0]) == text.replace("things:\n", "things:\n\n")


def test_mentions_of_pages_become_links_outside_code() -> None:
    from site_hooks import as_on_github

    text = "see docs/method.md, `docs/method.md`, [x](docs/method.md)\n\n    cat docs/method.md"
    expected = text.replace("see docs/method.md", "see <method>")
    assert as_on_github(text, lambda found: f"<{found[1]}>") == expected


def test_the_reference_has_every_public_name_with_its_docstring() -> None:
    from make_reference import reference

    page = reference()
    names = [n for n in urface.__all__ if n != "losses"] + urface.losses.__all__
    for name in names:
        assert f"\n### {name}\n" in page, name
    assert "#### Embedder.embed\n" in page
    assert "urface.score(\n" in page or "urface.score(a: FaceEmbedding" in page
    assert "RGB uint8 [B, H, W, 3], NumPy or torch" in page
    assert "``" not in page.replace("```", "")
