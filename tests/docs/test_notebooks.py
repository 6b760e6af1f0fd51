"""The notebooks of docs/notebooks run as they stand, assert their own claims, and show what they gave."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
IN_CI = ("train", "compare")  # 41 s of one idle core; all five take 85 s


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    """docs/make_notebooks.py in a process of its own, whose warnings are not those of this one."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(ROOT / "docs" / "make_notebooks.py"), "--check", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.ipynb").read_text())
    return found


def written(folder: Path, *cells: str) -> None:
    """A notebook "made" of these cells of code."""
    made = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": cell, "outputs": []}
        | {"execution_count": None}
        for n, cell in enumerate(cells)
    ]
    notebook = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "made.ipynb").write_text(json.dumps(notebook))


@pytest.mark.timeout(600)
def test_the_notebooks_run_and_their_claims_hold() -> None:
    done = ran(*IN_CI)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == [f"{name}.ipynb: ran" for name in IN_CI]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_notebooks_run_and_their_claims_hold() -> None:
    done = ran()
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == len(NAMES)


ASKS = """
import socket
for ask in (
    lambda: socket.create_connection(("203.0.113.1", 80), 1),
    lambda: socket.getaddrinfo("example.org", 80),
):
    try:
        ask()
    except PermissionError:
        continue
    raise SystemError("was not held back")
"""


def test_a_claim_that_fails_is_seen_and_a_call_to_another_machine_is_held_back(
    tmp_path: Path,
) -> None:
    """The control: the same harness on a notebook that must not pass."""
    written(tmp_path, ASKS, "assert 2 < 1")
    done = ran("--folder", str(tmp_path), "made")
    assert done.returncode == 1
    assert "AssertionError" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_is_of_the_code_that_is_shown(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from notebook_digest import digest

    notebook = read(name)
    assert notebook["metadata"]["ran"] == digest(notebook)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "display_data"}
    pictures = [o["data"]["image/png"] for o in outputs if o["output_type"] == "display_data"]
    assert max(len(base64.b64decode(picture)) for picture in pictures) < 200_000
    cells[-1]["source"] = "x = 2"
    assert notebook["metadata"]["ran"] != digest(notebook)
