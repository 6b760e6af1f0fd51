"""How rates are put into words, and which of them make the table: shared by page and Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Rate = Mapping[str, Any]  # the fields of metrics.intervals.Rate, as JSON gives them back


@dataclass(frozen=True)
class Column:
    """One column of the table: ``kind`` accuracy, tar, closed or open; ``at`` its rate or rank."""

    title: str
    kind: str
    at: float


COLUMNS = (
    Column("Accuracy", "accuracy", 0),
    Column("TAR at FAR 1%", "tar", 0.01),
    Column("Rank-1", "closed", 1),
    Column("Rank-5", "closed", 5),
    Column("Rank-10", "closed", 10),
    Column("TPIR at FPIR 1%", "open", 0.01),
    Column("TPIR at FPIR 10%", "open", 0.1),
)


@dataclass(frozen=True)
class Detail:
    """One measured rate with all that goes with it; None where a thing does not apply."""

    title: str
    rate: Rate
    achieved: Rate | None = None
    threshold: float | None = None
    standard_error: float | None = None


def column_rate(row: Mapping[str, Any], condition: str, column: Column) -> Rate | None:
    """The rate of ``row`` for one column, or None where it was not measured."""
    verification = (row.get("verification") or {}).get(condition) or {}
    identification = (row.get("identification") or {}).get(condition) or {}
    if column.kind == "accuracy":
        return verification.get("accuracy")
    if column.kind == "closed":
        return (identification.get("closed") or {}).get(str(int(column.at)))
    points, rate_key, at_key = (
        (verification.get("tar"), "tar", "far")
        if column.kind == "tar"
        else (identification.get("open"), "tpir", "fpir")
    )
    # The operating points went through JSON, so equality of floats is not to be relied on.
    return next(
        (p.get(rate_key) for p in points or () if math.isclose(p[at_key], column.at, rel_tol=1e-6)),
        None,
    )


def details(row: Mapping[str, Any], condition: str) -> Iterator[Detail]:
    """Every rate of ``row`` in one condition, also those that are no column of the table."""
    verification = (row.get("verification") or {}).get(condition) or {}
    identification = (row.get("identification") or {}).get(condition) or {}
    if verification.get("accuracy"):
        error = verification.get("standard_error")
        yield Detail("Accuracy", verification["accuracy"], standard_error=error)
    for point in verification.get("tar") or ():
        title = f"TAR at FAR {100 * point['far']:.4g}%"
        yield Detail(title, point["tar"], point.get("far_achieved"), point.get("threshold"))
    for rank, rate in (identification.get("closed") or {}).items():
        yield Detail(f"Rank-{rank}", rate)
    for point in identification.get("open") or ():
        title = f"TPIR at FPIR {100 * point['fpir']:.4g}%"
        yield Detail(title, point["tpir"], point.get("fpir_achieved"), point.get("threshold"))


def is_withheld(rate: Rate) -> bool:
    """Whether the rate, or a bound of its interval, is missing: then no number may be shown."""
    return any(rate.get(key) is None for key in ("value", "low", "high"))


def reason(rate: Rate) -> str:
    """Why the rate is withheld, never empty."""
    return str(rate.get("reason") or "no reason was recorded")


def percent(share: float, digits: int = 1) -> str:
    """0.8421 -> ``84.2``."""
    return f"{100 * share:.{digits}f}"


def interval(rate: Rate, digits: int = 1) -> str:
    """``83.2–85.1``, in percent."""
    return f"{percent(rate['low'], digits)}\N{EN DASH}{percent(rate['high'], digits)}"


def counts(rate: Rate) -> str:
    """``5,052 of 6,000``."""
    return f"{rate['events']:,} of {rate['trials']:,}"


def rate_line(rate: Rate | None) -> str:
    """``84.2 [83.2, 85.1] (5052/6000)``; ``withheld: <reason>``; ``not measured``."""
    if rate is None:
        return "not measured"
    if is_withheld(rate):
        return f"withheld: {reason(rate)}"
    bounds = f"[{percent(rate['low'])}, {percent(rate['high'])}]"
    return f"{percent(rate['value'])} {bounds} ({rate['events']}/{rate['trials']})"


def duration(seconds: float) -> str:
    """``0.4 s``, ``42 s``, ``5 min 3 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def caveats(rows: list[Mapping[str, Any]]) -> list[str]:
    """What a reader must know before comparing two rates of the table, as plain sentences."""
    notes = [
        "Each rate is in percent, with its 95% Clopper-Pearson (exact binomial) interval and its"
        " counts. The interval covers the chance in which pairs or probes were drawn, as if they"
        " were independent; it does not cover the chance in training.",
        "The threshold of TAR (TPIR) is the lowest one at which the false-accept rate (FPIR) is at"
        " most the stated one.",
    ]
    seeds = sorted({row["seed"] for row in rows if row.get("seed") is not None})
    if len(seeds) == 1:
        notes.append(
            f"Every model was trained once, with seed {seeds[0]}. One seed is not evidence that a"
            " method is better than another: train with several seeds before you conclude that."
        )
    elif seeds:
        notes.append(f"Seeds: {', '.join(str(seed) for seed in seeds)}.")
    return notes
