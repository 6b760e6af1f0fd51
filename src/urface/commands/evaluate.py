"""`urface evaluate`: benchmarks by name, aligned LFW, or any people; the last two calibrate too."""

from __future__ import annotations

from urface.commands import evaluate_benchmarks, evaluate_lfw, evaluate_people
from urface.types import UserError


def run(arguments: list[str]) -> int:
    options = {argument.partition("=")[0] for argument in arguments}
    if options & {"-h", "--help"}:
        arguments = ["--help"]  # `--lfw --help` would take it for the value
    if options & {"--lfw", "--pairs"}:
        return evaluate_lfw.run(arguments)
    if "--people" in options:
        return evaluate_people.run(arguments)
    if "--calibrate" in options:
        raise UserError("--calibrate needs people: add --people FACES, or --lfw LFW --pairs PAIRS")
    return evaluate_benchmarks.run(arguments)
