"""Feature files of MegaFace's tools: an OpenCV matrix of one column, and folders of them.

Four int32 (rows, columns = 1, bytes of a number = 4, OpenCV's type = 5: float32), then the numbers, all
little-endian.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from urface.atomic import write_atomic
from urface.data.decode import read_capped
from urface.types import UserError

MAX_DIM = 1 << 16
HEADER = 16
TAIL = (1, 4, 5)
ENDING = ".bin"
AFTER_IMAGE = re.compile(r"\.(?:jpe?g|png|webp)((?:_[^/]+)?\.bin)$", re.IGNORECASE)
AFTER_UNDERSCORE = re.compile(r"(_[^_/]+\.bin)$")


def read_feature(path: str | Path) -> np.ndarray:
    """[D] float32. Raises UserError for another header, another size than it states, a number not finite."""
    feature = _parse(_bytes(Path(path)), str(path))
    if not np.isfinite(feature).all():
        raise UserError(f"{path}: holds a number that is not finite")
    return feature


def _bytes(path: Path) -> bytes:
    try:
        return read_capped(path, HEADER + 4 * MAX_DIM)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _parse(data: bytes, name: str) -> np.ndarray:
    if len(data) < HEADER:
        raise UserError(f"{name}: {len(data)} bytes are no feature file")
    dim, *tail = np.frombuffer(data[:HEADER], "<i4").tolist()
    if tuple(tail) != TAIL or not 1 <= dim <= MAX_DIM:
        raise UserError(
            f"{name}: begins with {dim}, {', '.join(map(str, tail))}: expected a length up to {MAX_DIM}, "
            f"then {', '.join(map(str, TAIL))}"
        )
    if len(data) != HEADER + 4 * dim:
        raise UserError(
            f"{name}: not the {HEADER + 4 * dim} bytes that its length of {dim} asks for"
        )
    return np.frombuffer(data[HEADER:], "<f4").astype(np.float32)


def write_feature(path: str | Path, feature: np.ndarray) -> None:
    """Write ``feature`` [D], whole or not at all; ``read_feature`` gives it back as float32."""
    values = np.asarray(feature, "<f4")
    assert values.ndim == 1
    assert 1 <= len(values) <= MAX_DIM, values.shape
    header = np.array([len(values), *TAIL], "<i4")
    write_atomic(path, header.tobytes() + values.tobytes())


class FeatureFolder(NamedTuple):
    """What a folder of feature files holds: N keys, their paths below it without ``suffix``, in the order
    of the paths; vectors [N, D] float32, which may hold numbers that are not finite; and the SHA-256 of
    all paths and bytes."""

    keys: list[str]
    vectors: np.ndarray
    suffix: str
    digest: str


def holds_features(root: str | Path) -> bool:
    """Whether any file below ``root`` is called as a feature file."""
    return any(name.endswith(ENDING) for _, _, names in os.walk(root) for name in names)


def read_feature_folder(root: str | Path, progress: bool = True) -> FeatureFolder:
    """All features in files ``<root>/<key><suffix>``, with a suffix such as ``_arcface.bin`` that all have.

    Raises UserError where none is there, where there are several suffixes (features of two programs), and
    where a file is damaged or of another length than the first.
    """
    folder = Path(root)
    paths = sorted(
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder)
        for name in names
        if name.endswith(ENDING)
    )
    suffix = _suffix(folder, paths)
    digest = hashlib.sha256()
    vectors = np.empty((0, 0), np.float32)
    for row, path in enumerate(tqdm(paths, "features", unit="", disable=not progress, delay=2)):
        data = _bytes(folder / path)
        feature = _parse(data, str(folder / path))
        if not row:
            vectors = np.empty((len(paths), len(feature)), np.float32)
        if len(feature) != vectors.shape[1]:
            raise UserError(
                f"{folder / path}: {len(feature)} numbers, the others have {vectors.shape[1]}"
            )
        vectors[row] = feature
        digest.update(path.encode("utf-8", "surrogateescape") + b"\0" + data)
    keys = [path.removesuffix(suffix) for path in paths]
    return FeatureFolder(keys, vectors, suffix, digest.hexdigest())


def _suffix(folder: Path, paths: list[str]) -> str:
    """What follows the key in every name: after the image's ending where any has one, else from the last
    underscore where that is the same in all."""
    if not paths:
        raise UserError(f"{folder}: no feature file in it, such as IMAGE.jpg_NAME{ENDING}")
    found = {match[1] for match in map(AFTER_IMAGE.search, paths) if match}
    if not found:
        last = {match[1] for match in map(AFTER_UNDERSCORE.search, paths) if match}
        found = last if len(last) == 1 else {ENDING}
    if len(found) > 1:
        several = ", ".join(sorted(found)[:4])
        raise UserError(f"{folder}: features of several programs ({several}): keep one of them")
    (suffix,) = found
    other = next((path for path in paths if not path.endswith(suffix)), None)
    if other is not None:
        raise UserError(f"{folder / other}: does not end with {suffix}, as other files do")
    return suffix
