"""What the pages name in the code is there: every `file.py: function` in docs/."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`((?:\w+/)*\w+\.py): (\w+(?:\.\w+)?)`")
PAGES = sorted(page for page in (ROOT / "docs").glob("*.md") if NAMED.search(page.read_text()))


def names_in(file: Path) -> set[str]:
    """Functions, classes, Class.method and constants that ``file`` defines."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{m.name}" for m in node.body if isinstance(m, ast.FunctionDef)}
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def missing_from(text: str) -> list[str]:
    """What ``text`` names and src/urface lacks."""
    missing = []
    for file, name in NAMED.findall(text):
        path = ROOT / "src" / "urface" / file
        if not path.is_file() or name not in names_in(path):
            missing.append(f"{file}: {name}")
    return missing


def test_pages_name_functions() -> None:
    assert {"method.md", "follow_one_face.md"} <= {page.name for page in PAGES}
    assert len(NAMED.findall((ROOT / "docs" / "follow_one_face.md").read_text())) >= 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_function_that_a_page_names_is_there(page: Path) -> None:
    assert missing_from(page.read_text()) == []


def test_one_that_is_gone_is_seen() -> None:
    text = (
        "`embedder.py: load` `embedder.py: Embedder.gone` `embedding.py: load` `types.py: nothing`"
    )
    gone = ["embedder.py: Embedder.gone", "embedding.py: load", "types.py: nothing"]
    assert missing_from(text) == gone
