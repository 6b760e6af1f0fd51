"""Options of `urface evaluate` for what is judged beside the measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.made_up import Fake, all_pairs, benchmark
from urface.benchmarks import registry
from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.registry import Entry
from urface.benchmarks.result import read_results
from urface.cli import main
from urface.commands import evaluate_benchmarks

SUBJECTS = np.arange(40) % 8


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A model, lfw and where to write; cfp_fp holds other images of the same names."""
    pairs = (all_pairs(SUBJECTS, ("accuracy", "tar@0.1")),)
    for name in ("lfw", "cfp_fp"):
        monkeypatch.setitem(registry.BENCHMARKS, name, Entry(name, "none", "none"))

    def read(name: str, root: str | Path) -> Benchmark:
        return benchmark(pairs=pairs, name=name, seed=int(name == "cfp_fp"))

    monkeypatch.setattr(registry, "read_benchmark", read)
    monkeypatch.setattr(evaluate_benchmarks, "open_given", lambda given, path: Fake())
    place = tmp_path / "sets"
    place.mkdir()
    out = str(tmp_path / "out")
    return ["evaluate", "one", "--benchmark", "lfw", "--data", str(place), "-o", out]


def test_a_calibration_is_fitted_written_and_given_again(given: list[str], tmp_path: Path):
    (tmp_path / "g.csv").write_text("path,g\n" + "".join(f"{i}.jpg,{i % 2}\n" for i in range(40)))
    more = ["--groups", f"{tmp_path}/g.csv:g", "--conventions", "insightface", "--flip"]
    fitted = [*more, "--calibrate-on", "cfp_fp=x", "--calibration-fit", "isotonic"]
    assert main([*given, *fitted, "--calibration-prior", "0.1"]) == 0
    (first,) = read_results(tmp_path / "out" / "results.json")
    assert set(first.beside) == {"conventions", "calibration", "groups"}
    (row,) = first.rows("calibration")
    assert (row["fitted_on"]["method"], row["fitted_on"]["prior"]) == ("isotonic", 0.1)
    assert row["relation"] == "overlapping data"
    written = str(tmp_path / "out" / "calibration.json")
    assert main([*given[:-1], str(tmp_path / "again"), *more, "--calibration", written]) == 0
    (again,) = read_results(tmp_path / "again" / "results.json")
    assert again == first


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--calibrate-on", "cfp_fp"], "--calibrate-on is NAME=DIR"),
        (["--calibrate-on", "cfpfp=x"], "did you mean cfp_fp?"),
        (["--calibrate-on", "lfw=x", "--calibration", "y"], "give either"),
        (["--calibration", "nowhere.json"], "nowhere.json: no calibration"),
        (["--calibration-prior", "1"], "between 0 and 1"),
        (["--groups", "nowhere.csv:g"], "nowhere.csv: no such file"),
        (["--conventions", "mine"], "conventions: expected one of"),
    ],
)
def test_what_is_not_clear_costs_one_line(
    more: list[str], words: str, given: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main([*given, *more]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
