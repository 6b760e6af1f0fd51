"""The sections of the report page, each from its part of the results to markup."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from urface.evaluation.charts import box_chart, discard_chart, line_chart, thin
from urface.evaluation.heat import SIGMA, heat_cells, heat_legend, sigma_range
from urface.evaluation.rate_table import (
    condition_table,
    detail_table,
    key_value_table,
    scroll_box,
)
from urface.evaluation.rate_text import caveats, duration

Results = Mapping[str, Any]

_COUNTED = {
    "identities": "identities",
    "images": "images",
    "pairs": "pairs compared",
    "enrolled": "people enrolled",
    "mated_probes": "probes of enrolled people",
    "nonmated_probes": "probes of strangers",
}
_TERMS = {
    "L_idt": "Identification loss L_idt",
    "confidence_mean": "Mean confidence s",
    "L_reg": "Confidence regulariser L_reg",
    "L_unc": "Uncertainty loss L_unc",
}
VARIANCE = SIGMA + "\N{SUPERSCRIPT TWO}"
_SHOWN_TERMS = ("L_idt", "confidence_mean")  # the others wait in a box that opens
_WORDS = {
    "Accuracy": "Share of pairs judged rightly (one person or two). The threshold for each part of"
    " the pairs is chosen on the other parts.",
    "TAR at FAR 1%": "Share of pairs of one person accepted, at a threshold that accepts at most 1%"
    " of the pairs of two people.",
    "Rank-1, 5, 10": "Share of probes of enrolled people whose right person is among the first 1, 5"
    " or 10 of the gallery.",
    "TPIR at FPIR 1%, 10%": "Share of probes of enrolled people found, first and above a threshold"
    " that at most 1% (10%) of the probes of strangers pass.",
}


def trained_section(results: Results) -> str:
    """Data, network and minutes, as a row of tiles."""
    data, seconds = results.get("data") or {}, results.get("seconds") or {}
    tiles = [
        _tile(title, data[part].get("name"), _counted(data[part]))
        for part, title in (("train", "Trained on"), ("test", "Tested on, people never seen"))
        if data.get(part)
    ]
    settings = _flat(results.get("settings") or {}).items()
    network = {k.rpartition(".")[2].replace("_", " "): v for k, v in settings if "model." in k}
    if network:
        tiles.append(_tile("Network", None, network))
    training = [value for part, value in seconds.items() if part.startswith("train ")]
    times = (
        {f"training ({len(training)} runs, added up)": duration(sum(training))} if training else {}
    )
    if seconds.get("total") is not None:
        times["in all"] = duration(seconds["total"])
    if times:
        tiles.append(_tile("Time", None, times))
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _counted(part: Mapping[str, Any]) -> dict[str, str]:
    return {title: f"{part[key]:,}" for key, title in _COUNTED.items() if part.get(key) is not None}


def _tile(title: str, name: str | None, facts: Mapping[str, str]) -> str:
    first = f"<p>{escape(str(name))}</p>" if name else ""
    pairs = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f'<div class="tile"><h3>{escape(title)}</h3>{first}<dl>{pairs}</dl></div>'


def table_section(results: Results) -> str:
    """One table per condition, what its columns mean, and what it cannot say."""
    rows, reference = list(results.get("rows") or ()), list(results.get("reference") or ())
    parts = []
    for condition in results.get("conditions") or ():
        what = str(condition.get("what") or "")
        what = f"<p>{escape(what[:1].upper() + what[1:])}</p>" if what else ""
        parts.append(f"<h3>{escape(str(condition['name']))}</h3>{what}")
        parts.append(condition_table(condition, rows, reference))
        every = detail_table(condition, [*rows, *reference])
        parts.append(_details("Every number, thresholds and false rates achieved", every))
    if not parts:
        return ""
    words = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in _WORDS.items())
    parts.append(_details("What the columns mean", f'<dl class="words">{words}</dl>'))
    notes = "".join(f"<li>{escape(note)}</li>" for note in caveats(rows))
    return "".join(parts) + f'<ul class="notes">{notes}</ul>'


def curves_section(results: Results) -> str:
    """One row of small charts per term of the objective, one chart per model, on one scale."""
    curves = list((results.get("curves") or {}).values())
    terms = list(dict.fromkeys(k for c in curves for k in c if k not in ("name", "steps")))
    shown = [term for term in _SHOWN_TERMS if term in terms]
    parts = [f"<h3>{escape(_TERMS[t])}</h3>{_panels(t, curves)}" for t in shown]
    rest = [term for term in terms if term not in shown]
    more = "".join(
        f'<h3 class="words">{escape(_TERMS.get(t, t))}</h3>{_panels(t, curves)}' for t in rest
    )
    if more:
        parts.append(_details("More curves", more))
    if not parts:
        return ""
    note = (
        "Charts of one row share their scales. Each point is the mean of a run of steps; the number"
        " at the end of a line is its last point."
    )
    return f'<p class="muted">{note}</p>' + "".join(parts)


def _panels(term: str, curves: Sequence[Mapping[str, Any]]) -> str:
    lines = [(str(c.get("name", "")), thin(c["steps"], c[term])) for c in curves if c.get(term)]
    known = [point for _, points in lines for point in points if point is not None]
    if not known:
        return '<p class="muted">No values.</p>'
    x = (0.0, max(float(max(c["steps"])) for c in curves if c.get(term)))
    y = (min(0.0, min(value for _, value in known)), max(value for _, value in known))
    panels = "".join(
        f'<figure class="panel"><figcaption>{escape(name)}</figcaption>'
        f"{line_chart(f'{name}, {_TERMS.get(term, term)}', points, x, y)}</figure>"
        for name, points in lines
    )
    return f'<div class="panels">{panels}</div>'


def uncertainty_section(results: Results) -> str:
    """Example faces beside their K uncertainties, and how uncertain each condition is."""
    uncertainty = results.get("uncertainty") or {}
    examples, spread = uncertainty.get("examples") or (), uncertainty.get("by_condition") or ()
    parts = []
    if uncertainty.get("note"):
        parts.append(f"<p>{escape(str(uncertainty['note']))}</p>")
    if examples:
        low, high = sigma_range([example["sigma"] for example in examples])
        faces = "".join(
            _face(i, len(examples), example, low, high) for i, example in enumerate(examples, 1)
        )
        parts.append(
            "<h3>Faces, from the surest to the least sure</h3>"
            '<p class="muted">Each cell beside a face is one sub-embedding: dark is sure (small'
            f" {SIGMA}), light is unsure (large {SIGMA}), on one logarithmic scale.</p>"
            f"{heat_legend(low, high)}"
            f'<ol class="faces">{faces}</ol>'
        )
    if spread:
        chart = box_chart(
            [(str(row["name"]), row["quantiles"]) for row in spread], f"mean log {VARIANCE}"
        )
        parts.append(
            "<h3>How uncertain the faces of each condition are</h3>"
            f'<figure class="panel single"><figcaption>Mean log {VARIANCE} of each face, larger is less'
            f' sure</figcaption>{chart}</figure><p class="muted">Box: half of the faces;'
            " thick line: the median; whiskers: 5% to 95%.</p>"
        )
    return "".join(parts)


def _face(i: int, n: int, example: Mapping[str, Any], low: float, high: float) -> str:
    caption = escape(str(example.get("caption", "")))
    value = f"mean log {VARIANCE} {example['uncertainty']:.2f}".replace("-", "\N{MINUS SIGN}")
    return (
        '<li><figure><div class="pair"><img width="112" height="112"'
        f' src="data:image/png;base64,{escape(str(example["image"]))}"'
        f' alt="Face {i} of {n}, {caption}, {value}">'
        f"{heat_cells(example['sigma'], low, high)}</div>"
        f"<figcaption>{caption}<small>{value}</small></figcaption></figure></li>"
    )


def discard_section(results: Results) -> str:
    """The error that is left when the least sure are put aside; what is withheld is left out."""
    d = results.get("discard") or {}
    columns = (d.get(key) or () for key in ("shares", "error", "low", "high"))
    points = [point for point in zip(*columns, strict=True) if None not in point]
    if not points:
        return ""
    numbers = {
        f"{100 * share:.1f}%": f"{100 * error:.2f}% [{100 * low:.2f}, {100 * high:.2f}]"
        for share, error, low, high in points
    }
    table = key_value_table("Error with its 95% interval", ("Discarded", "Error"), numbers)
    random = d.get("random")
    dashed = " Dashed: as many discarded at random." if random is not None else ""
    name = escape(str(d.get("name", "Error")))
    return (
        f'<figure class="panel single"><figcaption>{name}</figcaption>'
        f'{discard_chart(points, random)}</figure><p class="muted">Band: 95% interval.{dashed} A'
        " line that falls says that the uncertainty knows which ones go wrong.</p>"
        f"{_details('The numbers', table)}"
    )


def repeat_section(results: Results) -> str:
    """The command, the time of each part, the machine and every setting."""
    parts = []
    if results.get("command"):
        code = escape(str(results["command"]))
        parts.append(f'<h3>Command</h3><pre tabindex="0"><code>{code}</code></pre>')
    if results.get("seconds"):
        parts.append("<h3>Time</h3>" + scroll_box("Time", _seconds_table(results["seconds"])))
    for key, title in (("machine", "Machine"), ("settings", "Settings")):
        if results.get(key):
            items = _flat(results[key])
            table = key_value_table(title, ("Name", "Value"), items)
            parts.append(f"<h3>{title}</h3>{_details(f'{len(items)} entries', table)}")
    return "".join(parts)


def _seconds_table(seconds: Mapping[str, float]) -> str:
    longest = max((v for k, v in seconds.items() if k != "total"), default=0.0) or 1.0
    body = "".join(
        f'<tr><th scope="row">{escape(part)}</th><td>{duration(value)}</td><td class="meter">'
        + ("" if part == "total" else f'<div style="width:{100 * value / longest:.1f}%"></div>')
        + "</td></tr>"
        for part, value in seconds.items()
    )
    return (
        '<table class="plain seconds"><caption>Time of each part</caption><thead><tr>'
        '<th scope="col">Part</th><th scope="col">Time</th>'
        '<th scope="col"><span class="hidden">Time as a bar</span></th></tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _details(summary: str, body: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Settings as text by dotted name: strings as they are, all else as JSON writes it."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        elif isinstance(value, str):
            flat[before + name] = value
        else:
            flat[before + name] = json.dumps(value, default=str, ensure_ascii=False)
    return flat
