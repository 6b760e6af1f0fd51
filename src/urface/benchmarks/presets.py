"""The paper's own tables: which numbers they show, in their shape, with the paper's rows below ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from urface.benchmarks.cell import Cell
from urface.benchmarks.report import PAPER, check_one_each, column_names
from urface.benchmarks.report import column as column_of
from urface.benchmarks.result import Result
from urface.benchmarks.words import how, value
from urface.evaluation import paper
from urface.evaluation.table import Table
from urface.types import UserError


class Column(NamedTuple):
    """A number: of the first of ``benchmarks`` that was judged, a task or group and its measure."""

    title: str
    benchmarks: tuple[str, ...]
    task: str
    measure: str


@dataclass(frozen=True)
class Preset:
    """A table: benchmarks to judge, groups of columns, and the paper's rows, a name and a number a column."""

    key: str
    title: str
    benchmarks: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Column, ...]], ...]
    paper: tuple[tuple[str, tuple[float, ...]], ...]


def _ijbs(gallery: str) -> tuple[Column, ...]:
    of = ("ijbs", f"ijbs_{gallery}")
    closed, group = (f"surveillance-to-{gallery}, {kind} set" for kind in ("closed", "open"))
    ranks = [Column(f"Rank-{rank}", of, closed, f"rank{rank}") for rank in (1, 5, 10)]
    return (*ranks, Column("1%", of, group, "tpir@0.01"), Column("10%", of, group, "tpir@0.1"))


PRESETS = {
    "ijbs-table2": Preset(
        "ijbs-table2",
        "IJB-S: rank retrieval in the closed set, TPIR at FPIR 1% and 10% in the open set",
        ("ijbs",),
        (
            ("Surveillance-to-Single", _ijbs("single")),
            ("Surveillance-to-Booking", _ijbs("booking")),
        ),
        tuple(
            (name, paper.TABLE2[row])
            for name, row in (
                ("PFE, 4.4M images", "pfe"),
                ("ArcFace, released, 5.8M", "arcface"),
                ("URFace baseline, 4.8M", "cosface"),
                ("URFace baseline + VA, 4.8M", "cosface_va"),
                ("URFace all, 4.8M", "all"),
                ("URFace all + PA, 4.8M", "all_pa"),
            )
        ),
    ),
    "table1": Preset(
        "table1",
        "Variations in the decorrelation loss: TinyFace and IJB-S surveillance-to-booking",
        ("tinyface", "ijbs_booking"),
        (
            (
                "TinyFace",
                tuple(
                    Column(f"Rank-{rank}", ("tinyface",), "identification", f"rank{rank}")
                    for rank in (1, 5)
                ),
            ),
            ("IJB-S", _ijbs("booking")[:2]),
        ),
        tuple(
            (f"URFace, {words}", paper.TABLE1[row])
            for words, row in (
                ("0 augmentable, 0 additional", "confidence_pa"),
                ("3 augmentable, 0 additional", "decorrelated_3_pa"),
                ("3 augmentable, 1 additional", "decorrelated_4_pa"),
                ("3 augmentable, 3 additional", "all_pa"),
            )
        ),
    ),
}


def preset_named(name: str) -> Preset:
    """Raises UserError for a name that is not there."""
    if name not in PRESETS:
        raise UserError(f"no preset is called {name!r}: known are {', '.join(sorted(PRESETS))}")
    return PRESETS[name]


def preset_table(preset: Preset, results: Sequence[Result]) -> Table:
    """Our rows, one for each model and score, and the paper's. Numbers that were not judged are ``-``."""
    check_one_each(results)
    ours: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        ours.setdefault(column_of(result), []).append(result)
    columns = [column for _, group in preset.groups for column in group]
    rows = []
    for name, found in zip(column_names(results), ours.values(), strict=True):
        rows.append((name, *(value(_cell(found, column)) for column in columns)))
    body = (
        ("Ours", tuple(rows)),
        ("Paper", tuple((name, *(f"{n:.2f}" for n in numbers)) for name, numbers in preset.paper)),
    )
    head = tuple((title, tuple(c.title for c in group)) for title, group in preset.groups)
    notes = [f"Ours in percent with the 95% interval. {PAPER}"]
    notes += dict.fromkeys(f"{r.benchmark}, {r.model['name']}: {how(r)}" for r in results)
    notes += dict.fromkeys(f"{r.benchmark}: {note}" for r in results for note in r.notes)
    for column in columns:
        cells = (_cell(found, column) for found in ours.values())
        reasons = [cell.reason for cell in cells if cell is not None and cell.value is None]
        notes += dict.fromkeys(f"Withheld: {column.task}, {column.title}: {why}" for why in reasons)
    return Table(preset.key, preset.title, (("", ("Method",)), *head), body, tuple(notes))


def _cell(results: Sequence[Result], column: Column) -> Cell | None:
    for benchmark in column.benchmarks:
        for result in results:
            if result.benchmark == benchmark:
                return result.cell(column.task, column.measure)
    return None
