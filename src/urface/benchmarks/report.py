"""Many models on many benchmarks as one table, with the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from urface.atomic import write_atomic
from urface.benchmarks.cell import BINOMIAL, Cell, parse_measure
from urface.benchmarks.report_beside import beside_tables, failed_checks
from urface.benchmarks.result import Result, write_results
from urface.benchmarks.words import how, measure_title, preprocessing, value
from urface.evaluation.paper import HEADLINE
from urface.evaluation.table import Table
from urface.evaluation.table_text import html, latex, markdown
from urface.types import UserError

MOST_PARTS = 2  # of a group that a table shows beside their mean; results.json has all
SHOWN = 12  # digits of a hash in a table; results.json has all
PAPER = (
    "Paper: URFace's own numbers, after training on 4.8 million images that are not public; they are "
    "comparable only on the whole published benchmark."
)


def write_report(results: Sequence[Result], folder: Path, tables: Sequence[Table] = ()) -> None:
    """``folder``/results.json and table.md, .tex and .html, and the same of each of ``tables``; then those of
    what was judged beside the measures, with its figures."""
    from urface.benchmarks.report_figures import write_figures  # loads matplotlib

    write_results(results, folder / "results.json")
    for table in (results_table(results), *tables, *beside_tables(results)):
        for ending, render in (("md", markdown), ("tex", latex), ("html", html)):
            write_atomic(folder / f"{table.key}.{ending}", render(table))
    write_figures(results, folder)


def column_names(results: Sequence[Result]) -> list[str]:
    """A name for each different model and way of judging it, in order; equal names get the hash."""
    columns = list(dict.fromkeys(map(column, results)))
    names = [name for name, _, _ in columns]
    scores = {key[2] for key in columns}
    found = []
    for name, digest, options in columns:
        others = {d for n, d, _ in columns if n == name}
        text = f"{name} {digest[:6]}" if len(others) > 1 else name
        if names.count(name) > 1 and len(scores) > 1:
            text += f", {options}"
        found.append(text)
    return found


def column(result: Result) -> tuple[str, str, str]:
    """What makes a column of a table: the model's name and digest, and how it was judged."""
    pooling = result.options["pooling"]
    words = [result.options["score"]]
    words += ["flip"] if result.options["flip"] == "sum" else []
    words += ["lengths kept"] if pooling["norms"] != "unit" else []
    words += ["detector weights"] if pooling["detector_weights"] else []
    words += ["bf16"] if result.model.get("precision") == "bf16" else []
    return result.model["name"], result.model["digest"], ", ".join(words)


def check_one_each(results: Sequence[Result]) -> None:
    """Raise UserError where two results would stand in one place: none may vanish from a table."""
    seen: dict[tuple[str, ...], Result] = {}
    for result in results:
        place = (result.benchmark, *column(result))
        other = seen.setdefault(place, result)
        if other is result:
            continue
        differ = "pooling" if other.options["pooling"] != result.options["pooling"] else "data"
        if other.data["digest"] == result.data["digest"] and differ == "data":
            differ = "nothing but the time"
        raise UserError(
            f"two results of {result.model['name']} on {result.benchmark} ({place[3]}) differ in "
            f"{differ}, and a table has one place for them: join them apart"
        )


def results_table(results: Sequence[Result]) -> Table:
    """A row for each measure, grouped by benchmark; a column for each model and score, then the paper's.

    Raises UserError where there is no result.
    """
    if not results:
        raise UserError("there is no result to put in a table")
    check_one_each(results)
    columns = list(dict.fromkeys(map(column, results)))
    names = column_names(results)
    body = []
    for benchmark in dict.fromkeys(result.benchmark for result in results):
        here = {column(r): r for r in results if r.benchmark == benchmark}
        places = dict.fromkeys((c.task, c.measure) for r in here.values() for c in _shown(r))
        rows = []
        last = {
            measure: task for task, measure in places
        }  # the paper's is of the whole: the last task
        for task, measure in places:
            cells = [
                value(here[key].cell(task, measure) if key in here else None, counts=True)
                for key in columns
            ]
            paper = _papers(benchmark, measure) if last[measure] == task else ""
            rows.append((f"{task}: {measure_title(measure)}", *cells, paper))
        version = next(iter(here.values())).version
        body.append((f"{benchmark}: {version}", tuple(rows)))
    return Table(
        "table",
        "Face recognition benchmarks",
        (("", ("Measure", *names, "Paper")),),
        tuple(body),
        tuple(_notes(results)),
    )


def _papers(benchmark: str, measure: str) -> str:
    for (name, theirs), percent in HEADLINE.items():
        if name == benchmark and parse_measure(theirs) == parse_measure(measure):
            return f"{percent:.2f}"
    return ""


def _notes(results: Sequence[Result]) -> list[str]:
    notes = [
        *failed_checks(results),
        "In percent, in brackets the 95% interval, then the counts; ± is the standard deviation over folds "
        "or parts. Intervals are Clopper-Pearson's unless said otherwise. A failure counts as no match and "
        "stays in the denominator. Of groups of more than two parts the parts are in results.json.",
        PAPER,
    ]
    for result in results:
        model, data = result.model, result.data
        notes.append(
            f"{result.benchmark}, {model['name']}: {how(result)}; input {preprocessing(result)}; model "
            f"{model['digest'][:SHOWN]}, data {data['digest'][:SHOWN]} ({data['covers']}); "
            f"{data['failed_images']:,} of {data['images']:,} images and {data['failed_templates']:,} of "
            f"{data['templates']:,} templates failed; intervals {result.options['intervals']}, seed "
            f"{result.options['seed']}"
        )
    notes += dict.fromkeys(f"{r.benchmark}: {note}" for r in results for note in r.notes)
    notes += _withheld(results)
    odd = {c.interval for r in results for c in r.cells if c.value is not None} - {BINOMIAL}
    notes += [f"Some intervals: {words}." for words in sorted(odd)]
    chosen = {c.threshold_from for r in results for c in r.cells if c.threshold_from}
    notes += [f"Some thresholds were chosen on: {words}." for words in sorted(chosen)]
    return notes


def _shown(result: Result) -> list[Cell]:
    """Cells for a table: of a group of many parts only the mean."""
    parts = {(cell.task, cell.measure): cell.parts for cell in result.cells}
    return [
        cell
        for cell in result.cells
        if not cell.group or parts[cell.group, cell.measure] <= MOST_PARTS
    ]


def _withheld(results: Sequence[Result]) -> list[str]:
    """A note for each reason, with the numbers that are withheld for it."""
    cells: dict[str, dict[str, None]] = {}
    for result in results:
        for cell in result.cells:
            if cell.value is None and cell.parts == 1:
                name = f"{result.benchmark}, {cell.task}, {measure_title(cell.measure)}"
                cells.setdefault(cell.reason, {})[name] = None
    return [f"Withheld: {reason}. This is so of {'; '.join(of)}." for reason, of in cells.items()]
