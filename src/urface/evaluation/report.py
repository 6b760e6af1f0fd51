"""Results in, one self-contained page out: no script, no font, no image from anywhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from urface.atomic import write_atomic
from urface.evaluation.rate_text import duration
from urface.evaluation.report_markdown import report_markdown
from urface.evaluation.report_sections import (
    curves_section,
    discard_section,
    repeat_section,
    table_section,
    trained_section,
    uncertainty_section,
)
from urface.evaluation.report_style import style_sheet

__all__ = ["report_html", "report_markdown", "write_report"]

_SECTIONS = (
    ("trained", "What was trained", trained_section),
    ("table", "What was found", table_section),
    ("curves", "Training", curves_section),
    ("uncertainty", "Uncertainty", uncertainty_section),
    ("discard", "Putting unsure faces aside", discard_section),
    ("repeat", "To repeat this", repeat_section),
)
# The browser itself refuses every outside request, whatever a name in the results tries.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_report(results: Mapping[str, Any], path: Path) -> None:
    """Write ``report_html(results)`` to ``path``, whole or not at all."""
    write_atomic(path, report_html(results))


def report_html(results: Mapping[str, Any]) -> str:
    """The page, as text, for phones, desktops, dark mode and paper.

    ``results`` holds only what JSON can hold. Required: ``title``. Each other part is left out of
    the page where it is missing or empty:

    lead         sentences: what was found          created, command   strings
    seconds      part -> seconds, and "total"        settings, machine  name -> value
    data         {"train", "test"} -> name, identities, images, pairs, enrolled, mated_probes,
                 nonmated_probes
    conditions   [{key, name, what}], one table each
    rows         [{name, method, seed, note, verification, identification}]; verification is
                 condition -> {accuracy, standard_error, tar: [{far, tar, far_achieved,
                 threshold}]}, identification condition -> {closed: {rank: rate}, open: [{fpir,
                 tpir, fpir_achieved}]}; a rate holds the fields of ``metrics.intervals.Rate``
    reference    the same, for what needed no training
    curves       model -> {name, steps, and lists as long as steps by the name of their term}
    uncertainty  {note, by_condition: [{name, quantiles at 5, 25, 50, 75, 95%}], examples: [{image
                 (base64 PNG), caption, sigma (K numbers), uncertainty (mean log sigma^2)}]}
    discard      {name, shares, error, low, high, random}, shares and errors in 0..1

    Every string is escaped, and a rate whose value is None is shown as withheld with its reason.
    """
    built = [(key, title, section(results)) for key, title, section in _SECTIONS]
    shown = [(key, title, body) for key, title, body in built if body]
    links = "".join(f'<li><a href="#{key}">{title}</a></li>' for key, title, _ in shown)
    nav = f'<nav aria-label="Sections"><ul>{links}</ul></nav>' if shown else ""
    sections = "".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{title}</h2>{body}</section>'
        for key, title, body in shown
    )
    title = escape(str(results["title"]))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{title}</title>\n<style>{style_sheet()}</style>\n</head>\n<body>\n"
        f"<header><h1>{title}</h1>{_lead(results)}{_about(results)}{nav}</header>\n"
        f"<main>{sections}</main>\n"
        "<footer><p class='about'>Written by urface. This page asks nothing of any other place: it"
        " can be kept, sent and printed as it is.</p></footer>\n</body>\n</html>\n"
    )


def _lead(results: Mapping[str, Any]) -> str:
    sentences = "".join(f"<li>{escape(str(line))}</li>" for line in results.get("lead") or ())
    return f'<ul class="lead" role="list">{sentences}</ul>' if sentences else ""


def _about(results: Mapping[str, Any]) -> str:
    """When, for how long and on what, in one line."""
    total = (results.get("seconds") or {}).get("total")
    created = str(results.get("created") or "")
    facts = [re.sub(r"^(.{10})T(.{5}).*Z$", r"\1 \2 UTC", created)] if created else []
    facts += [duration(total)] if total is not None else []
    processor = (results.get("machine") or {}).get("processor")
    facts += [str(processor)] if processor else []
    return f'<p class="about">{escape(" · ".join(facts))}</p>' if facts else ""
