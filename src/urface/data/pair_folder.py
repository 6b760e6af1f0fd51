"""The safe form of a verification set: ``images/000000.jpg``... and ``pairs.csv``, plain files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from urface.atomic import atomic_folder, write_atomic
from urface.data.decode import DEFAULT_LIMITS, read_capped
from urface.data.records import image_ending
from urface.data.verification_bin import VerificationSet
from urface.types import UserError

PAIRS = "pairs.csv"
COLUMNS = ["left", "right", "same"]
MAX_TABLE_BYTES = 1 << 24  # 350,000 pairs


def write_pair_folder(path: str | Path, pairs: VerificationSet) -> None:
    """Write ``pairs`` as a new folder, whole or not at all; image i keeps its bytes and number."""
    names = [
        f"images/{number:06d}{image_ending(image)}" for number, image in enumerate(pairs.images)
    ]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, same in enumerate(pairs.same):
        writer.writerow([names[2 * number], names[2 * number + 1], int(same)])
    with atomic_folder(path) as folder:
        (folder / "images").mkdir()
        for name, image in zip(names, pairs.images, strict=True):
            (folder / name).write_bytes(image)
        write_atomic(folder / PAIRS, table.getvalue())


def read_pair_folder(path: str | Path) -> VerificationSet:
    """The pairs of a folder with ``pairs.csv``: columns left, right (paths in the folder), same (0 or 1).

    Raises UserError, naming file and line, for a row of another form, a path that leads out of the
    folder, and an image that cannot be read.
    """
    folder = Path(path)
    table = folder / PAIRS
    try:
        text = read_capped(table, MAX_TABLE_BYTES).decode()
    except OSError as error:
        raise UserError(f"{table}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{table}: not UTF-8 text") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    images: list[bytes] = []
    same: list[bool] = []
    try:
        if next(rows, None) != COLUMNS:
            raise UserError(f"{table}:1: expected the columns {','.join(COLUMNS)}")
        for row in rows:
            where = f"{table}:{rows.line_num}"
            if len(row) != 3 or row[2] not in ("0", "1"):
                raise UserError(f"{where}: expected two images and 0 or 1")
            images += [_image(folder, name, where) for name in row[:2]]
            same.append(row[2] == "1")
    except csv.Error as error:
        raise UserError(f"{table}:{rows.line_num}: not readable as CSV ({error})") from None
    if not same:
        raise UserError(f"{table}: no pair in it")
    return VerificationSet(images, np.array(same, bool))


def _image(folder: Path, name: str, where: str) -> bytes:
    if not name or "\0" in name or name.startswith("/") or ".." in name.split("/"):
        raise UserError(f"{where}: {name!r} leads out of the folder")
    try:
        data = read_capped(folder / name)
    except OSError as error:
        raise UserError(f"{where}: {name} cannot be read ({error.strerror})") from None
    if not 0 < len(data) <= DEFAULT_LIMITS.max_bytes:
        raise UserError(f"{where}: {name} has no or too many bytes")
    return data
