"""`urface evaluate` on benchmarks by name: what it writes, and that mistakes cost one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import tiny
from benchmarks.made_up import Fake, all_pairs, benchmark
from urface.benchmarks import registry
from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.registry import Entry
from urface.benchmarks.result import read_results
from urface.cli import main
from urface.commands import evaluate_benchmarks
from urface.recognisers.recogniser import Features
from urface.types import UserError

PAIRS = (all_pairs(np.arange(40) % 8, ("accuracy", "tar@0.1")),)
NAMES = ("lfw", "ijbc", "ijbc_1n", "cfp_fp")


@pytest.fixture
def models(monkeypatch) -> dict[str, Fake]:
    """Fakes by the path that a user would give, and benchmarks that are read from memory."""
    made = {"one": Fake(2, 4, True), "two": Fake(digest="c" * 64)}
    for name, model in made.items():
        model.name = name
    monkeypatch.setattr(evaluate_benchmarks, "open_given", lambda given, path: made[path])
    for name in NAMES:
        monkeypatch.setitem(registry.BENCHMARKS, name, Entry(name, "none", "none"))

    def read(name: str, root: str | Path) -> Benchmark:
        return benchmark(pairs=PAIRS, name=name)

    monkeypatch.setattr(registry, "read_benchmark", read)
    return made


@pytest.fixture
def data(tmp_path) -> Path:
    for name in ("lfw", "ijbc"):
        (tmp_path / "sets" / name).mkdir(parents=True)
    return tmp_path / "sets"


def refused(capsys, *arguments: object) -> str:
    """The one line on stderr of a command that must end with 2."""
    assert main(["evaluate", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("urface: error: ")
    assert error.count("\n") == 1
    return error


def test_many_models_and_benchmarks_make_one_table(models, data, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["one", "two", "--benchmark", "lfw,ijbc_1n", "--data", data, "-o", out]
    assert main(["evaluate", *map(str, arguments), "--score", "cosine,likelihood"]) == 0
    text = capsys.readouterr()
    assert "| Measure | one, cosine | one, likelihood | two | Paper |" in text.out
    assert "two: gives no variance" in text.err
    results = read_results(out / "results.json")
    assert [(r.benchmark, r.model["name"], r.options["score"]) for r in results] == [
        ("lfw", "one", "cosine"),
        ("lfw", "one", "likelihood"),
        ("ijbc_1n", "one", "cosine"),
        ("ijbc_1n", "one", "likelihood"),
        ("lfw", "two", "cosine"),
        ("ijbc_1n", "two", "cosine"),
    ]
    assert (out / "table.md").read_text() in text.out
    written = {"cache", "results.json"}
    written |= {f"{name}.{end}" for name in ("table", "discard") for end in ("md", "tex", "html")}
    written |= {f"discard-{of}-all.{end}" for of in ("lfw", "ijbc-1n") for end in ("pdf", "png")}
    assert {p.name for p in out.iterdir()} == written
    # Both benchmarks hold the same images here, so each model saw them once.
    assert (models["one"].seen, models["two"].seen) == (40, 40)


def test_a_second_run_embeds_nothing_and_writes_the_same(models, data, tmp_path):
    out = tmp_path / "out"
    arguments = ["evaluate", "one", "--benchmark", "lfw", "--data", str(data), "-o", str(out)]
    assert main(arguments) == 0
    first = (out / "results.json").read_bytes()
    assert main(arguments) == 0
    assert models["one"].seen == 40
    assert (out / "results.json").read_bytes() == first


def test_options_reach_the_result(models, data, tmp_path):
    out = tmp_path / "out"
    options = ["--flip", "--keep-norms", "--pooling", "media", "--bootstrap", "20", "--seed", "3"]
    arguments = ["one", "--benchmark", "lfw", "--data", str(data), "-o", str(out), *options]
    assert main(["evaluate", *arguments]) == 0
    (result,) = read_results(out / "results.json")
    assert result.options == {
        "score": "cosine",
        "flip": "sum",
        "pooling": {"method": "media", "norms": "keep", "detector_weights": False},
        "intervals": "bootstrap by subject, 20 draws",
        "seed": 3,
    }


def test_pooling_is_chosen_by_the_score_unless_it_is_given(models, data, tmp_path):
    out = tmp_path / "out"
    arguments = ["one", "--benchmark", "lfw", "--data", str(data), "-o", str(out)]
    assert main(["evaluate", *arguments, "--score", "cosine,likelihood"]) == 0
    methods = [r.options["pooling"]["method"] for r in read_results(out / "results.json")]
    assert methods == ["mean", "inverse_variance"]


def test_results_of_earlier_runs_can_be_joined(models, data, tmp_path):
    one, both = tmp_path / "one", tmp_path / "both"
    shared = ["--benchmark", "lfw", "--data", str(data)]
    assert main(["evaluate", "one", *shared, "-o", str(one)]) == 0
    joined = ["--join", str(one / "results.json")]
    assert main(["evaluate", "two", *shared, "-o", str(both), *joined]) == 0
    names = [result.model["name"] for result in read_results(both / "results.json")]
    assert names == ["one", "two"]
    assert "| Measure | one | two | Paper |" in (both / "table.md").read_text()


def test_data_lie_by_name_by_family_or_where_they_are_said_to(data, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    places = evaluate_benchmarks._places
    assert places(["lfw", "ijbc_1n"], [str(data)]) == {
        "lfw": [data / "lfw"],
        "ijbc_1n": [data / "ijbc"],
    }
    assert places(["cfp_fp"], [str(elsewhere)]) == {"cfp_fp": [elsewhere]}
    assert places(["ijbc_1n", "lfw"], [f"ijbc={elsewhere}", str(data)]) == {
        "ijbc_1n": [elsewhere],
        "lfw": [data / "lfw"],
    }


def found(name: str, root: Path) -> Benchmark:
    return evaluate_benchmarks._read(name, evaluate_benchmarks._places([name], [str(root)])[name])


def test_a_benchmark_alone_may_hold_a_folder_of_its_name_or_lie_in_one(tmp_path):
    """LFW/pairs.txt with LFW/lfw/Name/ is LFW's ordinary layout."""
    assert len(found("lfw", tiny.lfw(tmp_path / "LFW", images="lfw")).images) == 30
    tiny.lfw(tmp_path / "sets" / "lfw")
    assert len(found("lfw", tmp_path / "sets").images) == 30


def test_where_no_folder_holds_the_benchmark_both_are_said(tmp_path):
    root = tiny.lfw(tmp_path / "LFW", images="lfw")
    tiny.edit(root / "pairs.txt", 3, "P0 and Q0")
    with pytest.raises(UserError, match=r"pairs\.txt:3: ") as error:
        found("lfw", root)
    assert str(root / "lfw") in str(error.value)


def test_mistakes_are_one_line(models, data, tmp_path, capsys):
    shared = ["one", "--data", data, "-o", tmp_path / "out"]
    assert "did you mean ijbc" in refused(capsys, *shared, "--benchmark", "ijbcc")
    assert "either --benchmark or --preset" in refused(capsys, *shared)
    assert "known are" in refused(capsys, *shared, "--preset", "table9")
    lfw = [*shared, "--benchmark", "lfw"]
    assert "cosine or likelihood" in refused(capsys, *lfw, "--score", "dot")
    assert "0 or more" in refused(capsys, *lfw, "--bootstrap", "-1")
    assert "pooling: expected one of auto" in refused(capsys, *lfw, "--pooling", "max")
    assert "no variance" in refused(capsys, "two", *lfw[1:], "--score", "likelihood")
    assert "name=DIR" in refused(capsys, *lfw, "--data", "a", "b")
    nowhere = ["one", "--benchmark", "lfw,cfp_fp", "-o", tmp_path / "out", "--data"]
    assert "cfp_fp is looked for there" in refused(capsys, *nowhere, data)
    assert "give cfp_fp=DIR" in refused(capsys, *nowhere, f"lfw={data}")
    assert not (tmp_path / "out").exists()


def test_counts_that_do_not_add_up_end_the_command_with_an_error(
    models, data, tmp_path, capsys, monkeypatch
):
    """A judge that leaves failures out of its denominator must not get its result written."""
    from dataclasses import replace

    from urface.benchmarks import judge

    honest = judge.judge_pairs

    def naive(*arguments):
        return [replace(cell, trials=cell.trials - 1) for cell in honest(*arguments)]

    monkeypatch.setattr(judge, "judge_pairs", naive)
    out = tmp_path / "out"
    line = refused(capsys, "one", "--benchmark", "lfw", "--data", data, "-o", out)
    assert "the result is not written" in line
    assert not (out / "results.json").exists()


def test_a_flat_uncertainty_ends_with_2_and_loses_nothing(
    models, data, tmp_path, capsys, monkeypatch
):
    def constant(self: Fake, images, keys):
        features = learned(self, images, keys)
        flat = np.full_like(features.variance, 0.01)
        return Features(features.vectors, features.parts, 1 / flat, flat)

    learned = Fake.features
    out = tmp_path / "out"
    arguments = ["evaluate", "one", "--benchmark", "lfw", "--data", str(data), "-o", str(out)]
    assert main(arguments) == 0
    assert "CHECK FAILED" not in capsys.readouterr().err
    monkeypatch.setattr(Fake, "features", constant)
    models["one"].digest = "f" * 64
    assert main(arguments) == 2
    assert "CHECK FAILED. lfw, one, cosine, all: " in capsys.readouterr().err
    assert read_results(out / "results.json")[0].model["digest"] == "f" * 64


def test_calibrate_without_people_says_what_to_add(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "demonstration", "--calibrate"]) == 2
    assert "add --people FACES" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["--lfw", "--people"])
def test_the_other_forms_have_help(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", form, "--help"])
    assert end.value.code == 0
    assert f"usage: urface evaluate {form}" in capsys.readouterr().out
