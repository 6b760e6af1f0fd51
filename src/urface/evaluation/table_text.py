"""A table as Markdown, LaTeX and HTML, and all of them as files."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from urface.atomic import write_atomic
from urface.evaluation.report_style import style_sheet
from urface.evaluation.table import Table

_TEX = {letter: f"\\{letter}" for letter in "%&_#{}$"}
_TEX |= {"\N{EN DASH}": "--", "±": r"$\pm$", "~": r"\~{}", "^": r"\^{}", "\\": r"\textbackslash{}"}


def write_tables(made: Sequence[Table], folder: Path) -> None:
    """``folder``/<key>.md, .tex and .html for each table."""
    for table in made:
        for ending, render in (("md", markdown), ("tex", latex), ("html", html)):
            write_atomic(folder / f"{table.key}.{ending}", render(table))


def markdown(table: Table) -> str:
    """With the group's title before the column's, since Markdown has one line of heads."""
    names = _names(table)
    lines = [f"## {table.title}", ""]
    for title, rows in table.body:
        if title:
            lines += [f"**{title}**", ""]
        lines += [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
        for row in rows:
            cells = (str(cell).replace("|", r"\|") for cell in row)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join([*lines, *(f"- {note}" for note in table.notes)]) + "\n"


def _names(table: Table) -> list[str]:
    """The columns' names, each with the title of its group."""
    return [
        f"{title}: {column}" if title and title != "Modules" else column
        for title, columns in table.head
        for column in columns
    ]


def latex(table: Table) -> str:
    """A table* for a paper with booktabs and graphicx."""
    groups = [(_tex(title), [_tex(c) for c in columns]) for title, columns in table.head]
    width = sum(len(columns) for _, columns in groups)
    over, rules, first = [], [], 1
    for title, columns in groups:
        over.append(rf"\multicolumn{{{len(columns)}}}{{c}}{{{title}}}")
        if title:
            rules.append(rf"\cmidrule(lr){{{first}-{first + len(columns) - 1}}}")
        first += len(columns)
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table*}\centering",
        rf"\caption{{{_tex(table.title)}. {' '.join(_tex(note) for note in table.notes)}}}",
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{{'l' + 'c' * (width - 1)}}}\toprule",
        " & ".join(over) + r" \\",
        "".join(rules),
        " & ".join(column for _, columns in groups for column in columns) + r" \\",
    ]
    for title, rows in table.body:
        lines.append(r"\midrule")
        if title:
            lines.append(rf"\multicolumn{{{width}}}{{l}}{{\emph{{{_tex(title)}}}}} \\")
        for row in rows:
            cells = [_tex(str(cell)) for cell in row]
            lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", r"\end{table*}"]) + "\n"


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)


def html(table: Table) -> str:
    """A page of its own that asks nothing of any other place."""
    over = "".join(
        f'<th colspan="{len(columns)}" scope="colgroup">{escape(title)}</th>'
        for title, columns in table.head
    )
    width = sum(len(columns) for _, columns in table.head)
    head = "".join(
        f'<th scope="col">{escape(column)}</th>' for _, columns in table.head for column in columns
    )
    labels = [escape(name) for name in _names(table)]
    body = ""
    for title, rows in table.body:
        body += "<tbody>"
        if title:
            body += f'<tr class="group"><th scope="rowgroup" colspan="{width}">{escape(title)}</th></tr>'
        for row in rows:
            cells = f'<th scope="row">{escape(str(row[0]))}</th>'
            cells += "".join(
                f'<td data-label="{label}">{escape(str(cell))}</td>'
                for label, cell in zip(labels[1:], row[1:], strict=True)
            )
            body += f"<tr>{cells}</tr>"
        body += "</tbody>"
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    title = escape(table.title)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><style>{style_sheet()}</style></head><body><main class="wide">'
        f'<h1>{title}</h1><div class="scroll" role="region" tabindex="0" aria-label="{title}">'
        f'<table class="plain numbers stack"><thead><tr>{over}</tr><tr>{head}</tr></thead>{body}</table>'
        f'</div><ul class="notes">{notes}</ul></main></body></html>\n'
    )
