"""Claims about results and tables: all is said, nothing is lost on the way, and pages stand alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from benchmarks.made_up import Fake, all_pairs, benchmark
from urface.benchmarks.benchmark import PairTask
from urface.benchmarks.cell import Cell
from urface.benchmarks.evaluate import Options, evaluate
from urface.benchmarks.presets import PRESETS, preset_named, preset_table
from urface.benchmarks.report import results_table, write_report
from urface.benchmarks.result import Result, read_results, write_results
from urface.benchmarks.words import measure_title, value
from urface.evaluation.table_text import html, latex, markdown
from urface.types import UserError

SUBJECTS = np.arange(40) % 8
MEASURES = ("accuracy", "eer", "tar@0.1", "tar@1e-6")


def made(name: str = "made", measures: tuple[str, ...] = MEASURES, **options: object) -> Result:
    pairs = (all_pairs(SUBJECTS, measures),)
    source = benchmark(pairs=pairs, damaged=(3,), name=name)
    return evaluate(source, Fake(2, 4, True), Options(**options), progress=False)


def test_a_result_says_all_that_its_numbers_depend_on():
    result = made(flip="sum", seed=7, bootstrap=50).to_dict()
    assert result["benchmark"] == "made"
    assert result["version"] == "made 1"
    assert result["model"]["digest"] == "d" * 64
    assert result["model"]["preprocessing"]["colour"] == "rgb"
    assert result["model"]["precision"] == "as the file has it"
    assert re.fullmatch("[0-9a-f]{64}", result["data"]["digest"])
    assert result["options"] == {
        "score": "cosine",
        "flip": "sum",
        "pooling": {"method": "mean", "norms": "unit", "detector_weights": False},
        "intervals": "bootstrap by subject, 50 draws",
        "seed": 7,
    }
    assert {"urface", "torch", "numpy", "python"} <= set(result["software"])
    assert re.fullmatch("[0-9a-f]{64}", result["software"]["code"])
    assert result["failures"] == {"3.jpg": "3.jpg: truncated"}
    by_measure = {cell["measure"]: cell for cell in result["cells"]}
    assert by_measure["accuracy"]["threshold_from"] == "the other folds"
    assert by_measure["tar@0.1"]["threshold_from"] == "same set"
    for cell in result["cells"]:
        assert cell["value"] is not None or cell["reason"]
        assert cell["value"] is None or cell["low"] < cell["high"]
        assert cell["trials"] > 0


def test_a_result_survives_its_file(tmp_path):
    results = [made(), made(score="likelihood")]
    nothing = replace(results[0].cells[0], threshold=float("inf"))
    results[0] = replace(results[0], cells=(nothing, *results[0].cells[1:]))
    write_results(results, tmp_path / "r.json")
    assert read_results(tmp_path / "r.json") == results
    json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": "x"}', '{"format": "urface-benchmark-results-1", "results": [{}]}'],
)
def test_another_file_is_no_result(text, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(UserError):
        read_results(path)


def test_a_table_has_a_row_for_each_measure_and_a_column_for_each_model_and_score():
    other = replace(made(), model={**made().model, "name": "other", "digest": "e" * 64})
    table = results_table([made(), made(score="likelihood"), other, made("lfw")])
    assert table.head[0][1] == ("Measure", "fake, cosine", "fake, likelihood", "other", "Paper")
    assert [title for title, _ in table.body] == ["made: made 1", "lfw: made 1"]
    rows = {row[0]: row[1:] for row in table.body[0][1]}
    assert list(rows) == [f"all: {measure_title(measure)}" for measure in MEASURES]
    cell = made().cell("all", "accuracy")
    assert rows["all: Accuracy"][0] == value(cell, counts=True)
    assert f"({cell.events}/{cell.trials}, {cell.failures} failed)" in rows["all: Accuracy"][0]
    assert rows["all: TAR at FAR 1e-6"][0].startswith("withheld")
    lfw = {row[0]: row[1:] for row in table.body[1][1]}
    assert lfw["all: Accuracy"][-1] == "99.78"
    assert lfw["all: Accuracy"][1] == "-"  # no likelihood of that one
    notes = " ".join(table.notes)
    assert "30 are needed" in notes
    assert "1 of 40 images" in notes
    assert "6,000" in notes  # the published list is larger
    assert "d" * 12 in notes


def test_models_of_one_name_are_told_apart():
    twin = replace(made(), model={**made().model, "digest": "e" * 64})
    names = results_table([made(), twin]).head[0][1]
    assert names == ("Measure", "fake dddddd", "fake eeeeee", "Paper")


def test_each_way_of_judging_a_model_has_a_column_of_its_own():
    plain, mirrored = made(), made(flip="sum")
    table = results_table([plain, mirrored])
    assert table.head[-1][1][1:3] == ("fake, cosine", "fake, cosine, flip")
    numbers = {row[1:3] for row in table.body[0][1]}
    assert any(a != b for a, b in numbers)


def test_results_that_would_share_a_column_are_refused_not_dropped():
    one = made()
    other = replace(one, data={**one.data, "digest": "e" * 64})
    with pytest.raises(UserError, match="differ in data, and a table has one place"):
        results_table([one, other])
    pooled = replace(
        one, options={**one.options, "pooling": {**one.options["pooling"], "method": "media"}}
    )
    with pytest.raises(UserError, match="differ in pooling"):
        results_table([one, pooled])


def test_parts_of_a_large_group_are_in_the_json_and_not_in_the_table():
    def parts(count: int) -> tuple[PairTask, ...]:
        return tuple(all_pairs(SUBJECTS, ("eer",), f"part {i}", "mean") for i in range(count))

    two = evaluate(benchmark(pairs=parts(2)), Fake(), progress=False)
    ten = evaluate(benchmark(pairs=parts(10)), Fake(), progress=False)
    assert [row[0] for row in results_table([two]).body[0][1]] == [
        "part 0: EER",
        "part 1: EER",
        "mean: EER",
    ]
    assert [row[0] for row in results_table([ten]).body[0][1]] == ["mean: EER"]
    assert len(ten.cells) == 11


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_a_page_asks_nothing_of_any_other_place_and_names_its_rows_and_columns(tmp_path):
    hostile = replace(made(), model={**made().model, "name": "<script src=//x>&"})
    write_report([hostile], tmp_path)
    text = (tmp_path / "table.html").read_text()
    page = _Page()
    page.feed(text)
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe"}
    assert not any(name in ("src", "href") for _, attributes in page.tags for name in attributes)
    assert "url(" not in text
    heads = [attributes.get("scope") for tag, attributes in page.tags if tag == "th"]
    assert set(heads) == {"col", "colgroup", "row", "rowgroup"}
    assert page.tags[0] == ("html", {"lang": "en"})
    assert (tmp_path / "results.json").is_file()


def test_latex_and_markdown_have_no_bare_special_characters(tmp_path):
    odd = replace(made(), model={**made().model, "name": "a|b_c%&"})
    table = results_table([odd])
    assert r"a|b\_c\%\&" in latex(table)
    for line in markdown(table).splitlines():
        if line.startswith("| all"):
            assert len(re.split(r"(?<!\\)\|", line)) == 5


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_papers_rows_and_a_number_for_each_of_its_columns(name):
    preset = preset_named(name)
    columns = [column for _, group in preset.groups for column in group]
    assert all(len(numbers) == len(columns) for _, numbers in preset.paper)
    assert all(any(b in column.benchmarks for b in preset.benchmarks) for column in columns)


def test_a_preset_shows_ours_above_the_papers_in_the_papers_columns():
    preset = preset_named("table1")
    tiny = replace(made("tinyface"), cells=(Cell("identification", "rank1", 0.5, 0.4, 0.6, 5, 10),))
    booking = Cell(
        "surveillance-to-booking, closed set", "rank5", None, None, None, None, 3, 0, "few"
    )
    ijbs = replace(made("ijbs"), cells=(booking,))
    table = preset_table(preset, [tiny, ijbs])
    assert table.head == (
        ("", ("Method",)),
        ("TinyFace", ("Rank-1", "Rank-5")),
        ("IJB-S", ("Rank-1", "Rank-5")),
    )
    assert table.body[0] == ("Ours", (("fake", "50.00 [40.00, 60.00]", "-", "-", "withheld"),))
    assert table.body[1][1][-1] == (
        "URFace, 3 augmentable, 3 additional",
        "63.89",
        "68.67",
        "61.98",
        "67.12",
    )
    assert any("few" in note for note in table.notes)
    assert "63.89" in html(table)
    with pytest.raises(UserError, match="known are"):
        preset_named("table3")


def test_no_result_makes_no_table():
    with pytest.raises(UserError, match="no result"):
        results_table([])


@pytest.mark.parametrize(
    ("measure", "title"),
    [
        ("tar@1e-4", "TAR at FAR 1e-4"),
        ("tpir@0.01", "TPIR at FPIR 1%"),
        ("fnmr@0.001", "FNMR at FMR 1e-3"),
        ("tar@0.00015", "TAR at FAR 0.00015"),
        ("rank20", "Rank-20"),
        ("map", "mAP"),
    ],
)
def test_a_measure_has_a_readers_name(measure, title):
    assert measure_title(measure) == title
