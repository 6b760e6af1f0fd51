"""All figures on one page that asks nothing of any other place: index.html."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from urface.evaluation.report_style import style_sheet

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# The figures are drawn for white paper, so they keep a white ground in dark mode too.
_RULES = """
figure.shot { margin: 0.8rem 0; background: #fff; border: 1px solid var(--rule);
  border-radius: 0.6rem; padding: clamp(0.4rem, 1.5vw, 1.2rem); overflow-x: auto; }
figure.shot img { display: block; width: 100%; min-width: 40rem; height: auto; }
"""


@dataclass(frozen=True, eq=False)
class Entry:
    """A figure as the page shows it: ``name`` is 1 to 5, A or B, ``png`` its picture."""

    name: str
    title: str
    caption: str
    png: bytes


def figures_page(entries: Sequence[Entry], left_out: Mapping[str, str]) -> str:
    """The page as text. ``left_out`` says why a figure is not there. Every string is escaped."""
    links = "".join(
        f'<li><a href="#figure{escape(e.name)}">Figure {escape(e.name)}</a></li>' for e in entries
    )
    sections = "".join(_section(entry) for entry in entries)
    if left_out:
        reasons = "".join(
            f"<li>Figure {escape(name)}: {escape(why)}</li>" for name, why in left_out.items()
        )
        sections += f'<section><h2>Left out</h2><ul class="notes">{reasons}</ul></section>'
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>URFace in figures</title>\n<style>{style_sheet()}{_RULES}</style>\n</head>\n<body>\n"
        "<header><h1>URFace in figures</h1>"
        '<p class="about">Figures 1 to 5 are those of the paper\'s supplementary, E to H, drawn anew; A and '
        "B are our own.</p>"
        f'<nav aria-label="Figures"><ul>{links}</ul></nav></header>\n<main>{sections}</main>\n'
        "<footer><p class='about'>Written by urface. PDF and PNG of each figure lie beside this page."
        "</p></footer>\n</body>\n</html>\n"
    )


def _section(entry: Entry) -> str:
    image = base64.b64encode(entry.png).decode()
    name, title = escape(entry.name), escape(entry.title)
    return (
        f'<section aria-labelledby="figure{name}"><h2 id="figure{name}">Figure {name}. {title}</h2>'
        f'<figure class="shot"><img alt="{title}" src="data:image/png;base64,{image}"></figure>'
        f"<p>{escape(entry.caption)}</p></section>"
    )
