"""The table of the report as Markdown, for docs/results.md and for reading in a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from urface.evaluation.rate_text import COLUMNS, caveats, column_rate, duration, rate_line


def report_markdown(results: Mapping[str, Any]) -> str:
    """One table per condition, with intervals and counts, then how to read it and to repeat it.

    ``results`` as ``report.report_html`` takes them. Strings in it are escaped, so that a name
    cannot break the table or bring markup along.
    """
    parts = [f"## {_text(results['title'])}", *(_text(line) for line in results.get("lead") or ())]
    rows = list(results.get("rows") or ())
    everything = [*rows, *(results.get("reference") or ())]
    header = ["Model", *(column.title for column in COLUMNS)]
    for condition in results.get("conditions") or ():
        lines = [_line(header), _line(["---"] * len(header))]
        for row in everything:
            rates = [column_rate(row, condition["key"], column) for column in COLUMNS]
            lines.append(_line([_text(row["name"]), *(_text(rate_line(rate)) for rate in rates)]))
        title = f"### {_text(condition['name'])}"
        parts += [title, _text(condition.get("what", "")), "\n".join(lines)]
    parts.append("\n".join(f"- {_text(note)}" for note in caveats(rows)))
    if results.get("seconds", {}).get("total") is not None:
        parts.append(f"Total time: {duration(results['seconds']['total'])}.")
    if results.get("command"):
        command = _one_line(results["command"])
        longest = max((len(run) for run in re.findall("`+", command)), default=0)
        fence = "`" * max(longest + 1, 3)  # longer than any inside, so that none can close it
        parts.append(f"{fence}sh\n{command}\n{fence}")
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


def _text(value: object) -> str:
    """``value`` on one line, with what Markdown or HTML would take for markup escaped.

    Brackets stay where no ``(`` follows, or every interval would be full of backslashes.
    """
    escaped = re.sub(r"([\\`*_|#~]|\](?=[(\[:]))", r"\\\1", _one_line(value))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")
