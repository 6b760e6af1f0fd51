"""`urface evaluate MODEL ... --benchmark NAME,... --data DIR -o OUT`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from urface.commands.evaluate_beside import Beside, add_beside
from urface.commands.models import add_model_options, open_given
from urface.commands.parser import CommandParser, note, suggestion
from urface.types import UserError

if TYPE_CHECKING:
    from urface.benchmarks.benchmark import Benchmark
    from urface.benchmarks.evaluate import Options
    from urface.benchmarks.pool import Method, Pooling
    from urface.benchmarks.result import Result
    from urface.benchmarks.score import Score
    from urface.recognisers.recogniser import Recogniser

SUMMARY = """\
Judge models on benchmarks: every number with its 95 % interval, its counts and failures, in one table
(OUT/table.md, .tex, .html) and with all that it depends on (OUT/results.json). Features are kept in
OUT/cache, so that a run that was stopped goes on. docs/evaluate.md says what each option means.

DIR holds one benchmark, or a folder for each by its name; name=DIR says where one of them is.
`urface evaluate MODEL --lfw LFW --pairs PAIRS` judges aligned LFW, also degraded, `urface evaluate MODEL
--people FACES` any people, and both calibrate a model: `urface evaluate --lfw --help`, `--people --help`."""
EXAMPLES = """\
  urface evaluate runs/mine --benchmark lfw --data lfw/ -o judged
  urface evaluate runs/mine theirs.onnx --benchmark lfw,cfp_fp --data sets/ --flip -o judged
  urface evaluate runs/mine --benchmark ijbc --data ijbc=IJBC/ --score cosine,likelihood -o judged
  urface evaluate runs/mine --preset ijbs-table2 --data IJBS/ --score cosine,likelihood -o judged
  urface evaluate --lfw lfw112.tar --pairs pairs.txt runs/mine"""

PoolingName = Literal["auto", "mean", "media", "inverse_variance"]


def run(arguments: list[str]) -> int:
    parser = _parser()
    given = parser.read(arguments)
    names, preset = _wanted(given)
    scores = _scores(given.score)
    folder = Path(given.output)
    if folder.is_file():
        raise UserError(f"{folder}: a file; --output names a folder")
    places = _places(names, given.data)
    beside = Beside(given)

    from urface.benchmarks.presets import preset_table
    from urface.benchmarks.report import results_table, write_report
    from urface.benchmarks.report_beside import beside_tables, failed_checks
    from urface.benchmarks.result import read_results, write_results
    from urface.evaluation.table_text import markdown

    results: list[Result] = [r for file in given.join or [] for r in read_results(Path(file))]
    benchmarks = [_read(name, places[name]) for name in names]
    for model in given.models:
        recogniser = open_given(given, path=model)
        for benchmark in benchmarks:
            results += _judged(recogniser, benchmark, scores, given, folder, beside)
            write_results(
                results, folder / "results.json"
            )  # what was judged outlasts a later fault
    tables = [preset_table(preset, results)] if preset else []
    write_report(results, folder, tables)
    shown = [*(tables or [results_table(results)]), *beside_tables(results)]
    print("\n".join(markdown(table) for table in shown))
    failed = failed_checks(results)
    for line in failed:
        note(line)
    note(f"{folder}: results.json, table.md, table.tex, table.html")
    return 2 if failed else 0


def _parser() -> CommandParser:
    parser = CommandParser("urface evaluate", SUMMARY, EXAMPLES)
    add_model_options(parser, several=True)
    parser.add("--benchmark", str, "", help="names with commas between: lfw,ijbc,tinyface")
    parser.add("--preset", str, "", help="a table of the paper: ijbs-table2 or table1")
    parser.add_argument("--data", nargs="+", required=True, metavar="DIR", help="or name=DIR ...")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="folder for the results"
    )
    parser.add("--score", str, "cosine", help="cosine, likelihood, or both with a comma between")
    parser.add_flag("--flip", help="add the feature of the mirrored image")
    parser.add(
        "--pooling",
        PoolingName,
        "auto",
        help="auto: inverse_variance for likelihood, the benchmark's own for cosine",
    )
    parser.add_flag("--keep_norms", help="do not normalise image features before pooling")
    parser.add_flag("--detector_weights", help="weigh images by the detector's score")
    parser.add("--measures", str, "", help="beside the protocol's: fnmr@1e-3,tar_nearest@1e-4")
    parser.add("--bootstrap", int, 0, help="intervals by this many draws of subjects (0: exact)")
    parser.add("--seed", int, 0, help="of those draws")
    add_beside(parser)
    parser.add("--cache", str, "", help="folder for features; OUT/cache without it")
    parser.add("--batch_size", int, 64, help="images that pass through the network at a time")
    parser.add_argument("--join", nargs="+", metavar="FILE", help="results.json of earlier runs")
    return parser


def _wanted(given: Any) -> tuple[list[str], Any]:
    from urface.benchmarks.presets import preset_named
    from urface.benchmarks.registry import BENCHMARKS

    if bool(given.benchmark) == bool(given.preset):
        raise UserError("give either --benchmark or --preset; see urface evaluate --help")
    preset = preset_named(given.preset) if given.preset else None
    names = list(preset.benchmarks) if preset else given.benchmark.split(",")
    names = list(dict.fromkeys(name.strip() for name in names))
    for name in names:
        if name not in BENCHMARKS:
            raise UserError(
                f"no benchmark is called {name!r}{suggestion(name, BENCHMARKS)}: known are "
                f"{', '.join(sorted(BENCHMARKS))}"
            )
    if given.bootstrap < 0:
        raise UserError(f"--bootstrap must be 0 or more, got {given.bootstrap}")
    if given.batch_size < 1:
        raise UserError(f"--batch-size must be at least 1, got {given.batch_size}")
    if given.sha256 and len(given.models) > 1:
        raise UserError("--sha256 is of one model, and several are given")
    return names, preset


def _scores(text: str) -> list[Score]:
    from urface.benchmarks.score import Score

    known = get_args(Score)
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known:
            raise UserError(f"--score is {' or '.join(known)}, or both with a comma, got {name!r}")
    return names  # type: ignore[return-value]


def _places(names: list[str], data: list[str]) -> dict[str, list[Path]]:
    """Where each benchmark may lie. Raises UserError where that is not clear or not there."""
    named = [text for text in data if re.match(r"\w+=", text)]  # /data/run=1 is a folder
    by_name = dict(text.split("=", 1) for text in named)
    plain = [Path(text) for text in data if text not in named]
    if len(plain) > 1:
        raise UserError("--data takes one folder, and name=DIR for those elsewhere")
    places = {}
    for name in names:
        # ijbs_booking and ijbc_1n lie in the folder of ijbs and ijbc.
        given = next((by_name[n] for n in (name, _family(name)) if n in by_name), None)
        if given is None and not plain:
            raise UserError(f"no --data for {name}: give {name}=DIR")
        alone = len(names) == 1
        found = [Path(given)] if given is not None else _within(plain[0], name, alone)
        if not found[0].exists():
            raise UserError(f"{found[0]}: no such file or folder; {name} is looked for there")
        places[name] = found
    return places


def _family(name: str) -> str:
    return name.partition("_")[0]


def _within(root: Path, name: str, alone: bool) -> list[Path]:
    """Of one benchmark alone the folder may be its own, and yet hold a folder of its name: LFW's images lie
    in ``lfw``, beside the list of pairs."""
    inner = [root / part for part in (name, _family(name)) if (root / part).exists()]
    if alone:
        return [root, *inner[:1]]
    return inner[:1] or [root / name]


def _read(name: str, places: list[Path]) -> Benchmark:
    """The benchmark in the first of ``places`` that holds it. Raises UserError that says why none does."""
    from urface.benchmarks import registry

    found: list[str] = []
    for place in places:
        try:
            return registry.read_benchmark(name, place)
        except UserError as error:
            found.append(str(error))
    # The folder of its name first: that is where it lies where there is one.
    raise UserError("; and not there either: ".join(reversed(found)))


def _judged(
    recogniser: Recogniser,
    benchmark: Benchmark,
    scores: list[Score],
    given: Any,
    folder: Path,
    beside: Beside,
) -> list[Result]:
    from urface.benchmarks.evaluate import evaluate

    found = []
    for score in scores:
        if score == "likelihood" and not recogniser.has_variance and len(scores) > 1:
            note(f"{recogniser.name}: gives no variance, so it has no likelihood score")
            continue
        cache = Path(given.cache) if given.cache else folder / "cache"
        options = _options(score, benchmark, given)
        options = beside.options(options, recogniser, folder, cache)
        found.append(evaluate(benchmark, recogniser, options, cache=cache))
    return found


def _options(score: Score, benchmark: Benchmark, given: Any) -> Options:
    from urface.benchmarks.evaluate import Options

    return Options(
        score=score,
        flip="sum" if given.flip else "none",
        pooling=_pooling(score, benchmark, given),
        bootstrap=given.bootstrap,
        seed=given.seed,
        batch_size=given.batch_size,
        measures=tuple(name.strip() for name in given.measures.split(",") if name.strip()),
    )


def _pooling(score: Score, benchmark: Benchmark, given: Any) -> Pooling:
    from urface.benchmarks.pool import Pooling

    method: Method = given.pooling
    if given.pooling == "auto":
        method = "inverse_variance" if score == "likelihood" else benchmark.pooling  # type: ignore[assignment]
    return Pooling(method, "keep" if given.keep_norms else "unit", given.detector_weights)
