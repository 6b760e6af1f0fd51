"""Tables of what was judged beside the measures: the field's conventions, discard, calibration, groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from urface.benchmarks.result import Result
from urface.benchmarks.words import measure_title
from urface.evaluation.table import Table
from urface.metrics.intervals import Rate

Rows = tuple[tuple[str, ...], ...]
ASIDE = 0.2  # the share set aside that the table of discard shows; the figure has all


def beside_tables(results: Sequence[Result]) -> list[Table]:
    """A table for each kind of which a result has a row."""
    made = []
    for key, (title, head, rows, notes) in TABLES.items():
        body = [
            (_who(result), shown)
            for result in results
            if (shown := tuple(line for row in result.rows(key) for line in rows(row)))
        ]
        if body:
            reasons = [
                f"{_who(result)}: {row['task']}: {row['reason']}"
                for result in results
                for row in result.rows(key)
                if row.get("reason")
            ]
            made.append(Table(key, title, (("", head),), tuple(body), (*notes, *reasons)))
    return made


def failed_checks(results: Sequence[Result]) -> list[str]:
    """A sentence for each check that failed: an uncertainty that is flat tells nothing."""
    return [
        f"CHECK FAILED. {_who(result)}, {row['task']}: {row['check'].removeprefix('failed: ')}"
        for result in results
        for row in result.rows("discard")
        if row["check"]
    ]


def _who(result: Result) -> str:
    return f"{result.benchmark}, {result.model['name']}, {result.options['score']}"


def _percent(value: float | None, sign: bool = False) -> str:
    return "-" if value is None else f"{100 * value:{'+' if sign else ''}.2f}"


def _range(low: float | None, high: float | None, scale: float = 100, digits: int = 2) -> str:
    if low is None or high is None:
        return ""
    return f" [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def _conventions(row: dict[str, Any]) -> Rows:
    theirs = _percent(row["theirs"]) + _range(row["low"], row["high"])
    if row["events"] is not None:
        theirs += f" ({row['events']:,}/{row['trials']:,})"
    title = f"{row['task']}: {measure_title(row['measure'])}"
    difference = _percent(row["difference"], sign=True)
    words = row["name"] + (f": {row['note']}" if row["note"] else "")
    return ((title, _percent(row["ours"]), theirs, difference, words),)


def _discard(row: dict[str, Any]) -> Rows:
    if row["curve"] is None:
        return ((row["task"], row["errors"], "-", "-", "-", "-", row["check"] or row["reason"]),)
    curve, sure = row["curve"], row["interval"] or {}
    at = curve["shares"].index(ASIDE)
    area = f"{100 * curve['area']:.2f}" + _range(sure.get("area_low"), sure.get("area_high"))
    gain = "-" if curve["gain"] is None else f"{curve['gain']:.3f}"
    gain += _range(sure.get("gain_low"), sure.get("gain_high"), 1, 3)
    rates = [Rate(**curve["rates"][place]).format(2) for place in (0, at)]
    check = f"passed, varies by {100 * row['spread']:.0f}%"
    return ((row["task"], f"{row['errors']}; {row['uncertainty']}", *rates, area, gain, check),)


def _calibration(row: dict[str, Any]) -> Rows:
    of, task = row["fitted_on"], row["task"]
    fitted = f"{of['method']}, fitted on {of['benchmark']} ({row['relation']})"
    lines: list[tuple[str, ...]] = []
    shown = row["reliability"]
    if shown is not None:
        at = f"{fitted}, at a prior of {row['prior']:.4g}"
        for name, title in (("ece", "expected calibration error"), ("brier", "Brier's score")):
            value = f"{shown[name]:.4f}" + _range(shown[f"{name}_low"], shown[f"{name}_high"], 1, 4)
            lines.append((f"{task}: {title}", value, "", at))
    for point in row["thresholds"] or ():
        target = point["fmr_target"]
        rates = [Rate(**point[name]).format(3) for name in ("fmr", "fnmr")]
        held = {True: "held", False: "not held", None: "withheld"}[point["held"]]
        words = f"threshold of {of['benchmark']} ({row['relation']}): target {held}"
        lines.append((f"{task}: FMR and FNMR at the threshold for {target:g}", *rates, words))
    return tuple(lines) or ((task, "-", "-", fitted),)


def _groups(row: dict[str, Any]) -> Rows:
    table = row["table"]
    if table is None:
        return ((row["task"], "-", "-", "-"),)
    head = (
        f"{row['task']}: by {row['column']}, at the threshold for FMR {row['fmr_target']:g} of "
        f"{row['threshold_from']}"
    )
    lines: list[tuple[str, ...]] = [(head, "", "", "")]
    for one in (*table["rows"], *table["between"], table["all"]):
        rates = [one[name] and Rate(**one[name]).format(3) for name in ("fmr", "fnmr", "fta")]
        lines.append((one["group"], *(text or "-" for text in rates)))
    ratios = []
    for name in ("fmr", "fnmr", "fta"):
        found = table[name]
        text = "-" if found["ratio"] is None else f"{found['ratio']:.2f} ({found['worst']})"
        ratios.append(text if found["low"] is None else f"{text}, at least {found['low']:.2f}")
    lines.append(("worst over median", *ratios))
    if table["unknown"]:
        lines.append(
            (f"{table['unknown']:,} pairs of no group or of two, in `all` only", "", "", "")
        )
    return tuple(lines)


TABLES: dict[
    str, tuple[str, tuple[str, ...], Callable[[dict[str, Any]], Rows], tuple[str, ...]]
] = {
    "conventions": (
        "InsightFace's conventions beside ours",
        ("Measure", "Ours", "Theirs", "Difference", "Theirs is"),
        _conventions,
        (
            "In percent. Theirs is what a published number of InsightFace's scripts means; docs/metrics.md "
            "says where each departs from ours. Difference: theirs less ours.",
        ),
    ),
    "discard": (
        "Error against discard by the model's own uncertainty",
        (
            *("Task", "Errors; uncertainty", "Error of all", f"{100 * ASIDE:g}% set aside"),
            *("Area", "Gain", "Check"),
        ),
        _discard,
        (
            "In percent but for the gain: 1 where errors go first, 0 where chance does as well. Intervals of "
            "area and gain by subject, of rates Clopper-Pearson's.",
        ),
    ),
    "calibration": (
        "A calibration of one set, tested on another",
        ("Task", "Value or FMR", "FNMR", "Calibration"),
        _calibration,
        (
            "Rates in percent with Clopper-Pearson's intervals; calibration error and Brier's score with "
            "intervals by subject. Data are the same where their SHA-256 are, overlap where they share names "
            "of images, and are disjoint else; people are not compared. A target held where the interval of "
            "the FMR reaches down to it.",
        ),
    ),
    "groups": (
        "Error rates by group at one threshold",
        ("Group", "FMR", "FNMR", "FTA"),
        _groups,
        (
            "In percent, Clopper-Pearson's intervals and counts. a x b: impostor pairs of two groups. "
            "FTA: images that gave no feature.",
        ),
    ),
}
