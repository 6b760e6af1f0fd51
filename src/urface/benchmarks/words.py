"""Measures and cells in words, for tables."""

from __future__ import annotations

from urface.benchmarks.cell import Cell, parse_measure
from urface.benchmarks.result import Result
from urface.recognisers.preprocessing import described
from urface.recognisers.recogniser import Preprocessing

TITLES = {"accuracy": "Accuracy", "eer": "EER", "auc": "AUC", "map": "mAP"}
RATES = {
    "tar": "TAR at FAR",
    "fnmr": "FNMR at FMR",
    "tar_nearest": "TAR at nearest FAR",
    "tpir": "TPIR at FPIR",
    "fnir": "FNIR at FPIR",
}


def measure_title(measure: str) -> str:
    """``tar@1e-4`` -> TAR at FAR 1e-4, ``tpir@0.01`` -> TPIR at FPIR 1%."""
    kind, at = parse_measure(measure)
    if kind == "rank":
        return f"Rank-{int(at)}"
    if kind in TITLES:
        return TITLES[kind]
    short = f"{at:.0e}"
    share = short.replace("e-0", "e-") if float(short) == at else f"{at:g}"
    return f"{RATES[kind]} {100 * at:g}%" if at >= 0.01 else f"{RATES[kind]} {share}"


def value(cell: Cell | None, counts: bool = False, digits: int = 2) -> str:
    """In percent with its interval: ``84.20 ± 1.10 [83.20, 85.10] (5052/6000)``."""
    if cell is None:
        return "-"
    if cell.value is None:
        return f"withheld ({cell.trials:,} trials)" if counts else "withheld"
    text = f"{100 * cell.value:.{digits}f}"
    if cell.std is not None:
        text += f" ± {100 * cell.std:.{digits}f}"
    if cell.low is not None and cell.high is not None:
        text += f" [{100 * cell.low:.{digits}f}, {100 * cell.high:.{digits}f}]"
    if not counts:
        return text
    of = f"{cell.events:,}/{cell.trials:,}" if cell.events is not None else f"{cell.trials:,}"
    failed = f", {cell.failures:,} failed" if cell.failures else ""
    return f"{text} ({of}{failed})"


def how(result: Result) -> str:
    """The options of a result in a few words: score, pooling, flip."""
    pooling = result.options["pooling"]
    words = [f"{result.options['score']} score", f"pooled by {pooling['method']}"]
    words.append("image features of length 1" if pooling["norms"] == "unit" else "lengths kept")
    if pooling["detector_weights"]:
        words.append("times the detector's score")
    words.append("mirrored image added" if result.options["flip"] == "sum" else "not mirrored")
    return ", ".join(words).replace("inverse_variance", "inverse variance")


def preprocessing(result: Result) -> str:
    """What the model does to pixels, in words."""
    given = result.model["preprocessing"]
    if given is None:
        return "features from disk"
    return described(Preprocessing(**given))
