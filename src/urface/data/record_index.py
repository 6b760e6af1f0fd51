"""The ``.idx`` file of a RecordIO set, ``key<TAB>offset`` lines, as two columns of numbers.

Ten million lines are 200 MB of text and would be gigabytes of Python objects; parsed by pieces into
arrays they are 160 MB and never more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from urface.types import UserError

PIECE = 1 << 20
MAX_LINE = 40  # two numbers of 18 digits, the tab, and a line end of two bytes
MAX_DIGITS = 18  # what an int64 holds whatever the digits


class RecordIndex(NamedTuple):
    """N records: ``keys`` [N] int64, ascending and distinct; ``offsets`` [N] int64, where each begins."""

    keys: np.ndarray
    offsets: np.ndarray


def read_index(path: str | Path, size: int) -> RecordIndex:
    """The index at ``path`` of a ``.rec`` file of ``size`` bytes; its lines may come in any order.

    InsightFace's packer writes record 0 after the images, so keys that do not ascend are no damage.
    Raises UserError, naming file and line, for a line that is not two numbers, a key or an offset that
    occurs twice, and an offset that is no multiple of 4 or lies past the end.
    """
    try:
        with open(path, "rb") as file:
            count = sum(piece.count(b"\n") for piece in iter(lambda: file.read(PIECE), b""))
            file.seek(0)
            keys = np.empty(count + 1, np.int64)  # the last line may lack its end
            offsets = np.empty(count + 1, np.int64)
            done = 0
            for piece in _lines(file, path):
                part = _parse(piece, path, done)
                if done + len(part) > len(keys):
                    raise UserError(f"{path}: it grew while it was read")
                keys[done : done + len(part)] = part[:, 0]
                offsets[done : done + len(part)] = part[:, 1]
                done += len(part)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if done == 0:
        raise UserError(f"{path}: no record in it")
    return _checked(path, keys[:done], offsets[:done], size)


def _lines(file: BinaryIO, path: str | Path) -> Iterator[bytes]:
    """Pieces of the file that end where a line does."""
    rest = b""
    while data := file.read(PIECE):
        data = rest + data
        end = data.rfind(b"\n") + 1
        yield data[:end]
        rest = data[end:]
        if len(rest) > MAX_LINE:
            raise UserError(f"{path}: a line of more than {MAX_LINE} bytes: not an index")
    if rest:
        yield rest + b"\n"


def _parse(piece: bytes, path: str | Path, before: int) -> np.ndarray:
    """[L, 2] int64 of the lines of ``piece``, which ``before`` lines precede."""
    piece = piece.replace(b"\r\n", b"\n")
    raw = np.frombuffer(piece, np.uint8)
    # What is not a digit must be a tab and a line end in turn, and between them stand numbers.
    stops = np.flatnonzero((raw < ord("0")) | (raw > ord("9")))
    lengths = np.diff(stops, prepend=-1) - 1
    wanted = np.full(len(stops), ord("\n"), np.uint8)
    wanted[::2] = ord("\t")
    wrong = (raw[stops] != wanted) | (lengths < 1) | (lengths > MAX_DIGITS)
    if wrong.any() or len(stops) % 2:
        first = int(stops[np.flatnonzero(wrong)[0]]) if wrong.any() else len(piece) - 1
        line = piece.count(b"\n", 0, first)
        text = piece.split(b"\n")[line][:60].decode("latin-1")
        raise UserError(f"{path}:{before + line + 1}: {text!r}: expected key<TAB>offset")
    numbers = np.fromstring(piece, np.int64, sep=" ") if piece else np.empty(0, np.int64)
    return numbers.reshape(-1, 2)


def _checked(path: str | Path, keys: np.ndarray, offsets: np.ndarray, size: int) -> RecordIndex:
    bad = np.flatnonzero((offsets & 3) != 0)
    if bad.size:
        _refuse(path, bad[0], keys, offsets, "is no multiple of 4, where records begin")
    bad = np.flatnonzero(offsets + 8 > size)
    if bad.size:
        _refuse(path, bad[0], keys, offsets, f"lies past the end of the .rec of {size:,} bytes")
    if not (keys[1:] > keys[:-1]).all():
        order = np.argsort(keys, kind="stable")
        keys, offsets = keys[order], offsets[order]
        twice = np.flatnonzero(keys[1:] == keys[:-1])
        if twice.size:
            line = int(order[twice[0] + 1]) + 1
            raise UserError(f"{path}:{line}: key {keys[twice[0]]} occurs twice: rebuild the index")
    rises = (offsets[1:] > offsets[:-1]).all()
    if not rises:
        placed = np.sort(offsets)
        twice = np.flatnonzero(placed[1:] == placed[:-1])
        if twice.size:
            offset = placed[twice[0]]
            shared = keys[offsets == offset][:2]
            raise UserError(
                f"{path}: keys {shared[0]} and {shared[1]} both begin at byte {offset}: "
                "rebuild the index"
            )
    return RecordIndex(keys, offsets)


def _refuse(
    path: str | Path, line: int, keys: np.ndarray, offsets: np.ndarray, reason: str
) -> None:
    raise UserError(
        f"{path}:{line + 1}: key {keys[line]}: offset {offsets[line]} {reason}: "
        "the index is of another file"
    )
