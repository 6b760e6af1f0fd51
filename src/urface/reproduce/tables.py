"""Tables 1 and 2 and the ablation in the paper's own shape, its numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from urface.evaluation import paper
from urface.evaluation.conditions import Condition
from urface.evaluation.table import Table
from urface.reproduce.measured import (
    ACCURACY,
    RANK1,
    RANK5,
    RANK10,
    TPIR1,
    TPIR10,
    Measured,
    Metric,
    Value,
)
from urface.reproduce.rows import ABLATION, MODULES, ROWS, TABLE1, TABLE2

Cell = str | Value

NAMES2 = {
    "pfe": "PFE",
    "arcface": "ArcFace",
    "cosface": "Baseline",
    "cosface_va": "Baseline + VA",
    "all": "All",
    "all_pa": "All + PA",
}
VARIATIONS1 = {
    "confidence_pa": ("0", "0"),
    "decorrelated_3_pa": ("3", "0"),
    "decorrelated_4_pa": ("3", "1"),
    "all_pa": ("3", "3"),
}


def tables(measured: Measured, conditions: Sequence[Condition], data: str) -> list[Table]:
    """Those tables of which every row was judged."""
    makers = ((TABLE1, _table1), (TABLE2, _table2), (ABLATION, _ablation))
    return [
        _explained(make(measured, conditions, data))
        for rows, make in makers
        if measured.rows.issuperset(rows)
    ]


def _explained(table: Table) -> Table:
    """With a note for each reason for which a cell is withheld."""
    cells = [cell for _, rows in table.body for row in rows for cell in row]
    reasons = dict.fromkeys(c.reason for c in cells if isinstance(c, Value) and c.reason)
    return replace(table, notes=(*table.notes, *(f"Withheld: {reason}." for reason in reasons)))


def _table1(measured: Measured, conditions: Sequence[Condition], data: str) -> Table:
    metrics = (RANK1, RANK5)
    rows = []
    for row in TABLE1:
        cells: list[Cell] = [*VARIATIONS1[row]]
        for condition in conditions:
            cells += _cells(measured, row, condition.key, metrics)
        rows.append((*cells, *_paper(paper.TABLE1[row])))
    titles = tuple(metric.title for metric in metrics)
    return Table(
        "table1",
        "Table 1: more and more variations in the decorrelation loss, everything else on",
        (
            ("Variations", ("Augmentable", "Additional")),
            *((f"Ours, {condition.name.lower()}", titles) for condition in conditions),
            ("Paper: TinyFace", titles),
            ("Paper: IJB-S", titles),
        ),
        (("", tuple(rows)),),
        _notes(measured, conditions, data, True),
    )


def _table2(measured: Measured, conditions: Sequence[Condition], data: str) -> Table:
    metrics = (RANK1, RANK5, RANK10, TPIR1, TPIR10)
    titles = ("Rank-1", "Rank-5", "Rank-10", "1%", "10%")
    galleries = {"single": "one image in the gallery", "several": "several images"}
    names = [galleries[name] for name in measured.galleries]
    body = []
    for condition in conditions:
        rows = []
        for row in TABLE2:
            cells: list[Cell] = [NAMES2[row]]
            for gallery in measured.galleries:
                placed = tuple(metric._replace(gallery=gallery) for metric in metrics)
                cells += _cells(measured, row, condition.key, placed)
            rows.append((*cells, *_paper(paper.TABLE2[row])))
        body.append((f"{condition.name} probes", tuple(rows)))
    return Table(
        "table2",
        "Table 2: identification of test faces in a clean gallery, TPIR at FPIR 1% and 10%",
        (
            ("", ("Method",)),
            *((f"Ours, {name}", titles) for name in names),
            ("Paper: IJB-S, surveillance-to-single", titles),
            ("Paper: IJB-S, surveillance-to-booking", titles),
        ),
        tuple(body),
        _notes(measured, conditions, data, True),
    )


def _ablation(measured: Measured, conditions: Sequence[Condition], data: str) -> Table:
    metrics = (ACCURACY, RANK1, TPIR10)
    titles = ("Accuracy", "Rank-1", "TPIR 10%")
    rows = []
    for row in ABLATION:
        has = ROWS[row].modules
        cells: list[Cell] = ["yes" if module in has else "" for module in MODULES]
        for condition in conditions:
            cells += _cells(measured, row, condition.key, metrics)
        rows.append(tuple(cells))
    notes = (
        "VA variation augmentation, CI confidence-aware identification loss, ME multiple "
        "sub-embeddings, DE decorrelation, PA probabilistic aggregation. The first row is CosFace.",
    )
    return Table(
        "ablation",
        "Ablation: one module added at a time",
        (
            ("Modules", MODULES),
            *((f"Ours, {condition.name.lower()}", titles) for condition in conditions),
        ),
        (("", tuple(rows)),),
        notes + _notes(measured, conditions, data, False),
    )


def _cells(measured: Measured, row: str, condition: str, metrics: Sequence[Metric]) -> list[Cell]:
    return [measured.value(row, condition, metric) for metric in metrics]


def _paper(numbers: Sequence[float]) -> list[Cell]:
    return [f"{number:.2f}" for number in numbers]


def _notes(
    measured: Measured, conditions: Sequence[Condition], data: str, with_paper: bool
) -> tuple[str, ...]:
    seeds = measured.seeds
    over = (
        f"mean over {seeds} seeds; in brackets its 95% interval by resampling the test people, after "
        "± half of Student's 95% interval over the seeds"
        if seeds > 1
        else "one seed; in brackets the 95% interval by resampling the test people. One seed is not "
        "evidence that one method is better than another"
    )
    notes = [f"Ours: {data}; in percent, {over}. Thresholds of TPIR allow at most the stated FPIR."]
    notes += [f"{c.name}: {c.what}." for c in conditions if not c.clean]
    if len(conditions) > 1:
        notes.append(
            "Both faces of a pair and all probes are put in the condition; galleries are clean."
        )
    return (*notes, paper.OTHER_DATA) if with_paper else tuple(notes)


def as_json(made: Sequence[Table]) -> dict[str, Any]:
    """The tables as JSON values, by key."""

    def cell(value: Cell) -> Any:
        return value.to_dict() if isinstance(value, Value) else value

    return {
        table.key: {
            "title": table.title,
            "head": [[title, list(columns)] for title, columns in table.head],
            "body": [[t, [[cell(c) for c in row] for row in rows]] for t, rows in table.body],
            "notes": list(table.notes),
        }
        for table in made
    }
