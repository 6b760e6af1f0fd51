"""Feature files of MegaFace's tools: an OpenCV matrix of one column, and folders of them.

Four int32 (rows, columns = 1, bytes of a number = 4, OpenCV's type = 5: float32), then the numbers, all
little-endian.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from urface.atomic import write_atomic
from urface.data.decode import read_capped
from urface.types import UserError

MAX_DIM = 1 << 16
HEADER = 16
TAIL = (1, 4, 5)
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")


def read_feature(path: str | Path) -> np.ndarray:
    """[D] float32. Raises UserError for another header, another size than it states, a number not finite."""
    try:
        data = read_capped(path, HEADER + 4 * MAX_DIM)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return _parse(data, str(path))


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
    feature = np.frombuffer(data[HEADER:], "<f4").astype(np.float32)
    if not np.isfinite(feature).all():
        raise UserError(f"{name}: holds a number that is not finite")
    return feature


def write_feature(path: str | Path, feature: np.ndarray) -> None:
    """Write ``feature`` [D], whole or not at all; ``read_feature`` gives it back as float32."""
    values = np.asarray(feature, "<f4")
    assert values.ndim == 1
    assert 1 <= len(values) <= MAX_DIM, values.shape
    header = np.array([len(values), *TAIL], "<i4")
    write_atomic(path, header.tobytes() + values.tobytes())


def read_feature_folder(root: str | Path, suffix: str, keys: Sequence[str]) -> np.ndarray:
    """[N, D] float32: the features of ``keys`` from ``<root>/<key><suffix>``, such as ``_arcface.bin``.

    A key's image ending may be missing from the name of its file. A missing file is a row of NaN, which
    is a failure to acquire. Raises UserError where a file is damaged or of another length than the first,
    where a key leads out of ``root``, and where no file is there at all.
    """
    folder = Path(root)
    found: np.ndarray | None = None
    missing: list[int] = []
    for place, key in enumerate(keys):
        data = _read_one(folder, key, suffix)
        if data is None:
            missing.append(place)
            continue
        feature = _parse(data, f"{folder / key}{suffix}")
        if found is None:
            found = np.empty((len(keys), len(feature)), np.float32)
        if len(feature) != found.shape[1]:
            raise UserError(
                f"{folder / key}{suffix}: {len(feature)} numbers, the others have {found.shape[1]}"
            )
        found[place] = feature
    if found is None:
        raise UserError(f"{folder}: no file KEY{suffix}, such as {''.join(keys[:1])}{suffix}")
    found[missing] = np.nan
    return found


def _read_one(folder: Path, key: str, suffix: str) -> bytes | None:
    if key.startswith("/") or ".." in key.split("/") or "\0" in key:
        raise UserError(f"{key!r} leads out of the folder of features")
    stem, dot, ending = key.rpartition(".")
    names = [key + suffix]
    if dot and "." + ending.lower() in IMAGE_ENDINGS:
        names.append(stem + suffix)
    for name in names:
        try:
            return read_capped(folder / name, HEADER + 4 * MAX_DIM)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise UserError(f"{folder / name}: cannot be read ({error.strerror})") from None
    return None
