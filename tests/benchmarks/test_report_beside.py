"""Claims about the report of what was judged beside the measures, and goal G65's fields one by one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.made_up import Fake, all_pairs, benchmark
from urface.benchmarks.evaluate import Options, evaluate
from urface.benchmarks.fit_calibration import fit_on
from urface.benchmarks.group_labels import GroupLabels
from urface.benchmarks.report import results_table, write_report
from urface.benchmarks.report_beside import beside_tables, failed_checks
from urface.benchmarks.report_figures import write_figures
from urface.benchmarks.result import Result, read_results, write_results

SUBJECTS = np.arange(60) % 6
KINDS = ("conventions", "discard", "calibration", "groups")


@pytest.fixture(scope="module")
def result() -> Result:
    source = benchmark(60, 6, (3,), (all_pairs(SUBJECTS, ("accuracy", "tar@0.1")),))
    base = benchmark(60, 6, (), source.pairs, seed=1, name="base")
    place = {f"{i}.jpg": int(i % 6 > 2) for i in range(60)}
    labels = GroupLabels("people.csv", "where", ("north", "south"), place)
    model, options = Fake(2, 4, True), Options(bootstrap=30, conventions=True, groups=labels)
    calibrated = fit_on(base, model, options, fmrs=(0.1, 1e-6), progress=False)
    return evaluate(source, model, replace(options, calibrated=calibrated), progress=False)


def test_every_field_of_goal_g65_is_in_the_file(result: Result, tmp_path: Path):
    write_results([result], tmp_path / "r.json")
    (said,) = json.loads((tmp_path / "r.json").read_text())["results"]
    options = said["options"]
    assert options["flip"] in ("none", "sum")
    assert options["pooling"]["norms"] in ("unit", "keep")
    assert isinstance(options["pooling"]["detector_weights"], bool)
    assert isinstance(options["seed"], int)
    for digest in (said["software"]["code"], said["data"]["digest"]):
        assert re.fullmatch("[0-9a-f]{64}", digest)
    assert len(said["model"]["digest"]) == 64
    for cell in said["cells"]:
        assert cell["threshold_from"] in ("same set", "the other folds")
    (row,) = said["beside"]["calibration"]
    assert row["relation"] in ("same data", "overlapping data", "disjoint data")
    assert re.fullmatch("[0-9a-f]{64}", row["fitted_on"]["data"])
    (groups,) = said["beside"]["groups"]
    assert groups["threshold_from"]
    for one in (*groups["table"]["rows"], groups["table"]["all"]):
        for name in ("fmr", "fnmr", "fta"):
            assert set(one[name]) >= {"value", "low", "high", "events", "trials", "reason"}
    for name in ("fmr", "fnmr", "fta"):
        assert set(groups["table"][name]) == {"ratio", "low", "worst", "groups"}


def test_it_survives_its_file_and_results_of_before_it_are_read(result: Result, tmp_path: Path):
    write_results([result], tmp_path / "r.json")
    assert read_results(tmp_path / "r.json") == [result]
    values = json.loads((tmp_path / "r.json").read_text())
    del values["results"][0]["beside"]
    (tmp_path / "old.json").write_text(json.dumps(values))
    (old,) = read_results(tmp_path / "old.json")
    assert old == replace(result, beside={})
    of_another = replace(old, model={**old.model, "digest": "a" * 64})
    write_report([of_another, result], tmp_path / "joined")
    assert (tmp_path / "joined" / "groups.md").is_file()


def test_each_kind_has_its_tables_and_figures(result: Result, tmp_path: Path):
    write_report([result], tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    assert files >= {f"{kind}.{end}" for kind in KINDS for end in ("md", "tex", "html")}
    assert files >= {
        f"{k}-made-all.{e}" for k in ("discard", "reliability") for e in ("pdf", "png")
    }


def test_tables_show_what_the_rows_say(result: Result):
    tables = {table.key: table for table in beside_tables([result])}
    assert tuple(tables) == KINDS
    first = result.rows("conventions")[0]
    line = tables["conventions"].body[0][1][0]
    assert line[0] == "all: Accuracy"
    assert line[1] == f"{100 * first['ours']:.2f}"
    assert line[2].startswith(f"{100 * first['theirs']:.2f} [")
    assert line[3] == f"{100 * first['difference']:+.2f}"
    (discard,) = tables["discard"].body[0][1]
    assert discard[-1].startswith("passed, varies by ")
    lines = tables["calibration"].body[0][1]
    assert [line[0] for line in lines] == [
        "all: expected calibration error",
        "all: Brier's score",
        "all: FMR and FNMR at the threshold for 0.1",
        "all: FMR and FNMR at the threshold for 1e-06",
    ]
    assert "overlapping data" in lines[0][-1]  # other pixels, but of the same names
    assert lines[3][1].startswith("withheld: where it was set")
    names = [line[0] for line in tables["groups"].body[0][1]]
    assert names[1:] == ["north", "south", "north x south", "all", "worst over median"]
    for table in tables.values():
        width = len(table.head[0][1])
        assert all(len(line) == width for _, lines in table.body for line in lines)


def test_a_failed_check_stands_first_below_the_table(result: Result):
    row = {**result.rows("discard")[0], "curve": None, "check": "failed: the uncertainty is flat"}
    flat = replace(result, beside={"discard": [row]})
    assert failed_checks([result]) == []
    (line,) = failed_checks([flat])
    assert line == "CHECK FAILED. made, fake, cosine, all: the uncertainty is flat"
    assert results_table([flat]).notes[0] == line
    assert beside_tables([flat])[0].body[0][1][0][-1] == "failed: the uncertainty is flat"


def test_models_that_find_no_room_in_a_figure_are_in_the_next(result: Result, tmp_path: Path):
    many = [replace(result, model={**result.model, "name": f"m{i}"}) for i in range(4)]
    names = {path.name for path in write_figures(many, tmp_path) if path.suffix == ".png"}
    expected = {f"{name}.png" for name in ("discard-made-all", "reliability-made-all")}
    assert names == expected | {"reliability-made-all-2.png"}
