"""Claims about `make bench`: what a part says stands in the table, and a part that fails is named."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[1] / "bench"

MEASURES = """
from figure import Figure, tell
tell(Figure("quick", 1.04, "x", 1.1, "most", (1.0, 1.2)))
tell(Figure("slow", 4000.4, "faces/s", 5000.0, "least"))
tell(Figure("by the way", 0.01234, "s"))
"""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setenv("PYTHONPATH", str(BENCH))
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("bench_all", BENCH / "all.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "measures.py").write_text(MEASURES)
    (tmp_path / "breaks.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "PARTS", {"measures": "m", "breaks": "b"})
    return module


def test_every_figure_stands_beside_its_target(runner: ModuleType, tmp_path: Path) -> None:
    assert runner.main(["measures"]) == 0
    table = (tmp_path / "runs/bench/figures.md").read_text().splitlines()
    assert table[2:5] == [
        "| quick | 1.04 x (1 to 1.2) | at most 1.1 x | met |",
        "| slow | 4,000 faces/s | at least 5,000 faces/s | missed |",
        "| by the way | 0.0123 s | - | - |",
    ]
    lines = (tmp_path / "runs/bench/figures.jsonl").read_text().splitlines()
    assert [json.loads(line)["what"] for line in lines] == ["quick", "slow", "by the way"]


def test_a_part_that_fails_is_named_and_the_others_are_measured(
    runner: ModuleType, tmp_path: Path
) -> None:
    assert runner.main(["breaks", "measures"]) == 1
    text = (tmp_path / "runs/bench/figures.md").read_text()
    assert "failed: breaks" in text
    assert "| quick |" in text


def test_an_unknown_part_is_refused(runner: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["nothing"]) == 2
    assert "no part is called nothing" in capsys.readouterr().err


def test_every_part_of_the_real_list_is_a_script() -> None:
    text = (BENCH / "all.py").read_text()
    names = [line.split('"')[1] for line in text.splitlines() if line.startswith('    "')]
    assert names
    assert all((BENCH / f"{name}.py").is_file() for name in names)
