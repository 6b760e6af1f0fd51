"""`urface evaluate`: benchmarks by name, or aligned LFW with degradations and calibration."""

from __future__ import annotations

from urface.commands import evaluate_benchmarks, evaluate_lfw


def run(arguments: list[str]) -> int:
    options = {argument.partition("=")[0] for argument in arguments}
    if options & {"--lfw", "--pairs"}:
        return evaluate_lfw.run(arguments)
    return evaluate_benchmarks.run(arguments)
