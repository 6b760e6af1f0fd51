"""Every `urface ...` line that the pages show is one that the command line takes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any, NoReturn

import pytest

from urface import cli
from urface.commands.parser import CommandParser
from urface.types import UserError

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


class Taken(BaseException):
    """The arguments were read; nothing is run."""


def text_of(page: Path) -> str:
    """Of a notebook its prose."""
    if page.suffix == ".md":
        return page.read_text()
    cells = json.loads(page.read_text())["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def lines_of(text: str) -> list[str]:
    """The commands in blocks of code, those in several lines joined, comments left off."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = re.findall(r"^    \s*(?:\.venv/bin/)?(urface [a-z].*)$", joined, re.MULTILINE)
    return [re.split(r"\s+#|\s+> |\s{4,}", line)[0] for line in found]


def refused(line: str) -> str:
    """What the command line says against ``line``, nothing where it is taken."""
    try:
        cli.dispatch("urface", "", "", cli.COMMANDS, shlex.split(line)[1:])
    except Taken:
        return ""
    except UserError as error:
        return str(error)
    raise AssertionError(f"{line}: neither read nor refused")


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    read = CommandParser.parse_args

    def parse_args(self: CommandParser, *given: Any, **more: Any) -> NoReturn:
        read(self, *given, **more)
        raise Taken

    monkeypatch.setattr(CommandParser, "parse_args", parse_args)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_command_line_takes_what_a_page_shows(page: Path) -> None:
    lines = [line for line in lines_of(text_of(page)) if "..." not in line]
    refusals = {line: refused(line) for line in lines}
    assert {line: said for line, said in refusals.items() if said} == {}


def test_lines_are_found() -> None:
    assert sum(len(lines_of(text_of(page))) for page in PAGES) > 50
    text = "    urface data check a.tar \\\n        --near 0   # twice\n"
    assert lines_of(text) == ["urface data check a.tar  --near 0"]


@pytest.mark.parametrize(
    "line",
    [
        "urface evaluat m",
        "urface embed m a -o b --aline",
        "urface data check",
        "urface train --data.trian a",
    ],
)
def test_a_line_that_is_wrong_is_seen(line: str) -> None:
    assert refused(line)
