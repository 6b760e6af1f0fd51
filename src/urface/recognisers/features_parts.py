"""The parts that `urface embed` wrote of a corpus, as features: those that its parts.json lists."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from urface.corpus.job import PARTS
from urface.corpus.part import NAME
from urface.corpus.part_file import read_part
from urface.corpus.plan import FORMAT
from urface.recognisers.convert_weights import refuse_other
from urface.recognisers.features_file import FeaturesFile, Stored, read_features
from urface.types import UserError


class FeaturesParts(FeaturesFile):
    """Features in the parts of a folder; an image that failed is a row of NaN, which is counted."""

    def __init__(self, path: Path, name: str, parts: int = 1, sha256: str = "") -> None:
        if parts != 1:
            raise UserError(f"{path}: parts of urface embed say themselves how they are divided")
        listed = _listed(path)
        digest = hashlib.sha256("\0".join(listed).encode()).hexdigest()
        refuse_other(path, digest, sha256)
        self._take(path, name, digest, _joined([_stored(path / part) for part in listed]))


def holds_parts(folder: Path) -> bool:
    """Whether a folder holds parts that were committed."""
    return (folder / PARTS).is_file()


def _listed(folder: Path) -> list[str]:
    try:
        about: dict[str, Any] = json.loads((folder / PARTS).read_text(encoding="utf-8"))
        names = [part["name"] for part in about["parts"]]
        right = about["format"] == FORMAT and all(NAME.fullmatch(name) for name in names)
    except (ValueError, LookupError, TypeError, RecursionError):
        right = False
    if not right or not names:
        raise UserError(f"{folder / PARTS}: not a list of parts that urface embed wrote")
    return names


def _stored(path: Path) -> Stored:
    match = NAME.fullmatch(path.name)
    assert match is not None
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise UserError(f"{path}: not there; run urface embed again to make it") from None
    if not digest.startswith(match[2]):
        raise UserError(f"{path}: damaged; remove it and run urface embed again to make it")
    if match[3] == "parquet":
        return read_features(path)
    keys, columns = read_part(path)
    vectors = columns["features"]
    count, parts = vectors.shape[:2]
    flat = vectors.reshape(count, -1)
    return Stored(keys, flat, parts, columns["confidence"], columns["variance"])


def _joined(parts: list[Stored]) -> Stored:
    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    keys = [key for part in parts for key in part.keys]
    features, confidence, variance = map(column, ("vectors", "confidence", "variance"))
    return Stored(keys, features, parts[0].parts, confidence, variance)
