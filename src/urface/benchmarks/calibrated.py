"""A calibration that was fitted on one benchmark, as a file: probabilities and thresholds for another."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from urface.atomic import write_atomic
from urface.metrics.calibration import ScoreCalibration
from urface.metrics.intervals import Rate
from urface.types import UserError

FORMAT = "urface-calibration-1"
MOST_BYTES = 500_000_000
SAME, OVERLAP, DISJOINT = "same data", "overlapping data", "disjoint data"


class Point(NamedTuple):
    """A threshold set for a false-match rate, and that rate where it was set; None where withheld."""

    fmr_target: float
    threshold: float | None
    fitted: Rate


@dataclass(frozen=True, eq=False)
class Calibrated:
    """One model's scores calibrated.

    fit         score -> probability; its ``prior`` is stated
    thresholds  for false-match rates
    benchmark, version, tasks, data  on what: all its 1:1 tasks, and the SHA-256 of its data
    keys        [N] uint64, rising: a hash of each image's key, to tell whether sets share images
    model, score, flip, pooling      of what: they must be the same where it is used
    """

    fit: ScoreCalibration
    thresholds: tuple[Point, ...]
    benchmark: str
    version: str
    tasks: tuple[str, ...]
    data: str
    keys: np.ndarray
    model: str
    score: str
    flip: str
    pooling: dict[str, Any]

    def relation(self, data: str, keys: Sequence[str]) -> tuple[str, int]:
        """Whether its data are those of SHA-256 ``data`` and image ``keys``, and how many keys both have."""
        shared = len(np.intersect1d(self.keys, key_hashes(keys)))
        if data == self.data:
            return SAME, shared
        return (OVERLAP if shared else DISJOINT), shared

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; a threshold that accepts nothing (+inf) is the text ``inf``."""
        return {
            "fit": self.fit.to_dict(),
            "thresholds": [
                {
                    "fmr_target": point.fmr_target,
                    "threshold": "inf" if point.threshold == math.inf else point.threshold,
                    "fitted": point.fitted.to_dict(),
                }
                for point in self.thresholds
            ],
            "benchmark": self.benchmark,
            "version": self.version,
            "tasks": list(self.tasks),
            "data": self.data,
            "keys": base64.b64encode(self.keys.astype("<u8").tobytes()).decode(),
            "model": self.model,
            "score": self.score,
            "flip": self.flip,
            "pooling": self.pooling,
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Calibrated:
        """What ``to_dict`` gave. Raises UserError for anything else."""
        try:
            fit = dict(values["fit"])
            for name in ("scores", "values"):
                if name in fit:
                    fit[name] = np.array(fit[name], np.float64)
            _check_fit(fit)
            points = tuple(
                Point(
                    float(point["fmr_target"]),
                    None if point["threshold"] is None else float(point["threshold"]),
                    Rate(**point["fitted"]),
                )
                for point in values["thresholds"]
            )
            keys = np.frombuffer(base64.b64decode(values["keys"], validate=True), "<u8")
            rest = {**values, "fit": ScoreCalibration(**fit), "thresholds": points}
            return Calibrated(**{**rest, "keys": keys, "tasks": tuple(values["tasks"])})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"not a calibration of urface evaluate ({error})") from None


def _check_fit(fit: dict[str, Any]) -> None:
    """Raise ValueError for a fit that gives no probabilities, or falls."""
    if not 0.0 < fit["prior"] < 1.0:
        raise ValueError(f"prior {fit['prior']}")
    if fit["method"] == "logistic":
        if not (0 < fit["slope"] < math.inf and math.isfinite(fit["offset"])):
            raise ValueError("its slope or offset is not finite, or it does not rise")
        return
    scores, shares = fit["scores"], fit["values"]
    good = len(scores) == len(shares) > 0 and (np.diff(scores) > 0).all()
    if not (good and (np.diff(shares) >= 0).all() and shares[0] >= 0 and shares[-1] <= 1):
        raise ValueError("its points do not rise from 0 to 1")


def key_hashes(keys: Sequence[str]) -> np.ndarray:
    """[N] uint64, rising, a hash of each key."""
    joined = b"".join(hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return np.sort(np.frombuffer(joined, "<u8"))


def write_calibrations(found: Sequence[Calibrated], path: Path) -> None:
    """All calibrations in one JSON file, whole or not at all."""
    values = {"format": FORMAT, "calibrations": [one.to_dict() for one in found]}
    write_atomic(path, json.dumps(values, allow_nan=False) + "\n")


def read_calibrations(path: Path) -> list[Calibrated]:
    """What ``write_calibrations`` wrote. Raises UserError for another file."""
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path}: no calibration of urface evaluate")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UserError(f"{path}: no calibration of urface evaluate")
    found = values.get("calibrations")
    if not isinstance(found, list):
        raise UserError(f"{path}: no calibration in it")
    try:
        return [Calibrated.from_dict(value) for value in found]
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
