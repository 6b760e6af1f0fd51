"""Claims about the tables in the paper's shape."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from reproduce.made_up import measured
from urface.evaluation import paper
from urface.evaluation.conditions import condition
from urface.evaluation.table import Table
from urface.evaluation.table_text import html, latex, markdown, write_tables
from urface.reproduce.measured import RANK1, TPIR10
from urface.reproduce.rows import ABLATION, TABLE1, TABLE2
from urface.reproduce.tables import as_json, tables

CONDITIONS = [condition("clean"), condition("degraded")]
ALL_ROWS = {
    row: 2.0 + 0.1 * place for place, row in enumerate(dict.fromkeys(TABLE1 + TABLE2 + ABLATION))
}
FOUND = measured(ALL_ROWS, seeds=2)


def made() -> list[Table]:
    return tables(FOUND, CONDITIONS, "made_up & 100% {known}")


def test_the_papers_numbers_stand_beside_the_rows_they_belong_to() -> None:
    assert set(paper.TABLE1) == set(TABLE1)
    assert set(paper.TABLE2) == set(TABLE2)
    table1, table2, _ = made()
    assert table1.body[0][1][3][:2] == ("3", "3")
    assert table1.body[0][1][3][-4:] == ("63.89", "68.67", "61.98", "67.12")
    for title, rows in table2.body:
        assert "probes" in title
        assert [row[0] for row in rows][-1] == "All + PA"
        assert rows[-1][-5:] == ("61.98", "67.12", "69.10", "42.73", "53.48")
    assert any("other data" in note for note in table1.notes)


def test_only_tables_whose_rows_were_all_judged_are_made() -> None:
    some = measured(dict.fromkeys((*ABLATION[1:], *TABLE1), 2.0), seeds=1)
    assert [table.key for table in tables(some, CONDITIONS, "x")] == ["table1"]
    assert [table.key for table in made()] == ["table1", "table2", "ablation"]


def test_every_row_has_a_cell_under_every_column() -> None:
    for table in made():
        width = sum(len(columns) for _, columns in table.head)
        assert {len(row) for _, rows in table.body for row in rows} == {width}


def test_a_cell_gives_the_mean_over_seeds_and_both_intervals() -> None:
    table = made()[1]
    value = FOUND.value("all", "clean", RANK1)
    seeds = FOUND.per_seed("all", "clean", RANK1)
    assert isinstance(seeds, list)
    assert value.mean == pytest.approx(np.mean(seeds))
    assert value.over_seeds is not None
    half = value.over_seeds.half_width
    assert half == pytest.approx(12.7062 * abs(seeds[0] - seeds[1]) / 2, rel=1e-4)
    assert half is not None
    assert value.low is not None
    assert value.high is not None
    cell = (
        f"{100 * value.mean:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}] ± {100 * half:.1f}"
    )
    assert cell in markdown(table)
    assert cell.replace("±", r"$\pm$") in latex(table)
    assert cell in html(table)
    one = measured(dict.fromkeys(TABLE1, 2.0), seeds=1)
    text = markdown(tables(one, CONDITIONS, "x")[0])
    assert "One seed is not evidence" in text
    assert "] ±" not in text
    assert FOUND.value("all", "clean", TPIR10).mean is not None


def test_withheld_cells_say_why_in_a_note() -> None:
    table = made()[1]
    assert "withheld" in markdown(table)
    assert any(note.startswith("Withheld: not supported") for note in table.notes)


def test_markdown_rows_have_as_many_cells_as_their_heads() -> None:
    for table in made():
        lines = [line for line in markdown(table).splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == 1


def test_latex_escapes_and_balances() -> None:
    for table in made():
        text = latex(table)
        assert r"made\_up \& 100\% \{known\}" in text
        assert text.count(r"\begin{") == text.count(r"\end{")
        bare = text.replace(r"\{", "").replace(r"\}", "")
        assert bare.count("{") == bare.count("}")
        body = [
            line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line
        ]
        assert len({line.replace(r"\&", "").count("&") for line in body}) == 1


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_closes_what_it_opens_and_asks_for_nothing() -> None:
    for table in made():
        tags, text = _Tags(), html(table)
        tags.feed(text)
        assert tags.open == []
        assert "http" not in text
        assert "made_up &amp; 100%" in text


def test_all_three_kinds_are_written(tmp_path: Path) -> None:
    write_tables(made(), tmp_path / "tables")
    names = {path.name for path in (tmp_path / "tables").iterdir()}
    assert names == {
        f"{t}.{e}" for t in ("table1", "table2", "ablation") for e in ("md", "tex", "html")
    }
    json.dumps(as_json(made()), allow_nan=False)
