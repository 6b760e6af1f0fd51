"""The result of one model on one benchmark, as JSON: what was computed, of what, and how."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from urface.atomic import write_atomic
from urface.benchmarks.cell import Cell
from urface.types import UserError

FORMAT = "urface-benchmark-results-1"
PACKAGES = ("urface", "torch", "numpy", "scipy", "numba", "opencv-python-headless")


@dataclass(frozen=True)
class Result:
    """One model on one benchmark.

    benchmark, version, notes  of the protocol as it was read
    model       name, digest, parts, has_variance and preprocessing (None: features from disk)
    data        digest and what it covers, and the counts of images, templates and failures
    options     flip, pooling, score, intervals and seed
    software    versions of what computed it
    cells       the numbers, those of tasks before those of groups
    failures    key -> reason of every image that gave no feature
    lost        names of templates whose images cancel out
    beside      rows of what was judged beside the measures, as JSON values: conventions, discard,
                calibration, groups. docs/evaluate.md has their fields. Results of before it have none
    """

    benchmark: str
    version: str
    notes: tuple[str, ...]
    model: dict[str, Any]
    data: dict[str, Any]
    options: dict[str, Any]
    software: dict[str, str]
    cells: tuple[Cell, ...]
    failures: dict[str, str]
    lost: tuple[str, ...] = ()
    beside: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Those of ``beside`` called ``name``, none where it was not judged."""
        return self.beside.get(name, [])

    def cell(self, task: str, measure: str) -> Cell | None:
        """The cell of a task or group and a measure, or None."""
        return next((c for c in self.cells if (c.task, c.measure) == (task, measure)), None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "cells": [cell.to_dict() for cell in self.cells]}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Result:
        """What ``to_dict`` gave. Raises UserError for anything else."""
        try:
            rest = {**values, "notes": tuple(values["notes"]), "lost": tuple(values["lost"])}
            return Result(**{**rest, "cells": tuple(map(Cell.from_dict, values["cells"]))})
        except (KeyError, TypeError) as error:
            raise UserError(f"not a result of urface evaluate ({error})") from None


def software() -> dict[str, str]:
    """Versions of what a result depends on; ``code`` is the SHA-256 of this package's source files."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "unknown"
    return {**found, "code": _code_digest()}


@functools.cache
def _code_digest() -> str:
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def write_results(results: Sequence[Result], path: Path) -> None:
    """All results in one JSON file, whole or not at all."""
    values = {"format": FORMAT, "results": [result.to_dict() for result in results]}
    write_atomic(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def read_results(path: Path) -> list[Result]:
    """What ``write_results`` wrote. Raises UserError for another file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UserError(f"{path}: not the results of urface evaluate")
    return [Result.from_dict(value) for value in values["results"]]
