"""The tables of the page: each model beside its rates, and every number behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from urface.evaluation.rate_text import (
    COLUMNS,
    Detail,
    Rate,
    column_rate,
    counts,
    details,
    interval,
    is_withheld,
    percent,
    reason,
)

# A table that folds into cards on a phone loses its roles in some browsers: they are spelled out.
_COLUMN_HEADER = '<th scope="col" role="columnheader">'


def scroll_box(label: str, table: str) -> str:
    """A box that scrolls sideways by itself, reachable by keyboard, so that the page never does."""
    name = escape(label)
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">{table}</div>'


def condition_table(
    condition: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    reference: Sequence[Mapping[str, Any]],
) -> str:
    """The models and, below them, what needed no training, in one condition."""
    key, name = condition["key"], escape(str(condition["name"]))
    head = "".join(f"{_COLUMN_HEADER}{escape(column.title)}</th>" for column in COLUMNS)
    body = _group("", rows, key) if rows else ""
    if reference:
        body += _group("For reference, without training", reference, key)
    table = (
        f'<table class="rates" role="table"><caption>{name}: rates in percent, with 95% intervals'
        f' and counts</caption><thead role="rowgroup"><tr role="row">{_COLUMN_HEADER}Model</th>'
        f"{head}</tr></thead>{body}</table>"
    )
    return scroll_box(f"Rates, {condition['name']}", table)


def _group(title: str, rows: Sequence[Mapping[str, Any]], condition: str) -> str:
    header = (
        f'<tr role="row" class="group"><th scope="rowgroup" role="rowheader"'
        f' colspan="{len(COLUMNS) + 1}">{escape(title)}</th></tr>'
        if title
        else ""
    )
    body = "".join(_row(row, condition) for row in rows)
    return f'<tbody role="rowgroup">{header}{body}</tbody>'


def _row(row: Mapping[str, Any], condition: str) -> str:
    facts = [str(row["method"])] if row.get("method") else []
    facts += [f"seed {row['seed']}"] if row.get("seed") is not None else []
    facts += [str(row["note"])] if row.get("note") else []
    small = f"<small>{escape(' · '.join(facts))}</small>" if facts else ""
    cells = "".join(
        f'<td role="cell" data-label="{escape(column.title)}">'
        f"{_cell(column_rate(row, condition, column))}</td>"
        for column in COLUMNS
    )
    name = escape(str(row["name"]))
    return f'<tr role="row"><th scope="row" role="rowheader">{name}{small}</th>{cells}</tr>'


def _cell(rate: Rate | None) -> str:
    """Value, interval, a bar of both from 0 to 100%, and the counts; or why there is none."""
    if rate is None:
        return '<span class="absent">not measured</span>'
    if is_withheld(rate):
        return f'<span class="withheld">withheld</span><small>{escape(reason(rate))}</small>'
    low, high = 100 * rate["low"], 100 * rate["high"]
    bar = (
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="2" width="100" height="2"/>'
        f'<rect class="range" x="{low:.1f}" y="1" width="{max(high - low, 0.6):.1f}" height="4"/>'
        f'<rect class="point" x="{100 * rate["value"] - 0.7:.1f}" width="1.4" height="6"/></svg>'
    )
    return (
        f'<span class="value">{percent(rate["value"])}%</span>'
        f'<span class="interval">{interval(rate)}</span>{bar}<small>{counts(rate)}</small>'
    )


def detail_table(condition: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Every rate of one condition with two decimals, its threshold and the false rate achieved."""
    titles = (
        "Rate",
        "Value",
        "95% interval",
        "Counts",
        "Failures",
        "False rate achieved",
        "Threshold",
        "Standard error over folds",
    )
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = ""
    for row in rows:
        lines = "".join(_detail_line(detail) for detail in details(row, condition["key"]))
        seed = f", seed {row['seed']}" if row.get("seed") is not None else ""
        body += (
            f'<tbody><tr class="group"><th scope="rowgroup" colspan="{len(titles)}">'
            f"{escape(str(row['name']) + seed)}</th></tr>{lines}</tbody>"
        )
    name = escape(str(condition["name"]))
    table = (
        f'<table class="plain numbers"><caption>{name}: every rate, in percent</caption>'
        f"<thead><tr>{head}</tr></thead>{body}</table>"
    )
    return scroll_box(f"Every rate, {condition['name']}", table)


def _detail_line(detail: Detail) -> str:
    """One line of the table; a withheld rate gives its reason and no number."""
    rate, achieved = detail.rate, detail.achieved
    head = f'<th scope="row">{escape(detail.title)}</th>'
    if is_withheld(rate):
        text = f'<span class="withheld">withheld</span>: {escape(reason(rate))}'
        return f'<tr>{head}<td colspan="7">{text}</td></tr>'
    if achieved is None:
        false_rate = ""
    elif is_withheld(achieved):
        false_rate = f"withheld: {escape(reason(achieved))}"
    else:
        false_rate = (
            f"{percent(achieved['value'], 2)}"
            f" <small>{interval(achieved, 2)}, {counts(achieved)}</small>"
        )
    cells = (
        percent(rate["value"], 2),
        interval(rate, 2),
        counts(rate),
        str(rate.get("failures", 0)),
        false_rate,
        "" if detail.threshold is None else f"{detail.threshold:.5g}",
        "" if detail.standard_error is None else percent(detail.standard_error, 2),
    )
    return f"<tr>{head}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def key_value_table(caption: str, titles: tuple[str, str], items: Mapping[str, str]) -> str:
    """Two columns of plain text, such as settings and their values."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>'
        for key, value in items.items()
    )
    return (
        f'<table class="plain pairs"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
