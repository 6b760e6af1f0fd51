"""A table in groups of rows and columns, before it is Markdown, LaTeX or HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """What the three renderings share.

    head    groups of columns: a title (may be empty) and the columns under it
    body    groups of rows: a title (may be empty) and the cells of each row, shown as ``str`` gives them
    notes   sentences below
    """

    key: str
    title: str
    head: tuple[tuple[str, tuple[str, ...]], ...]
    body: tuple[tuple[str, tuple[tuple[Any, ...], ...]], ...]
    notes: tuple[str, ...]
