"""The pairs of Labeled Faces in the Wild, View 2 (``pairs.txt``): 10 folds of 300 + 300 pairs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from urface.data.source import FaceSource
from urface.types import UserError


class LfwPairs(NamedTuple):
    """P pairs of keys ``Name/Name_0001.jpg``; ``same`` [P] bool, ``fold`` [P] int64 from 0."""

    left: list[str]
    right: list[str]
    same: np.ndarray
    fold: np.ndarray


def read_pairs(path: str | Path) -> LfwPairs:
    """The pairs in file order: in each fold first those of one person, then those of two.

    The first line is ``folds<TAB>pairs``; a line of one person is ``Name<TAB>i<TAB>j``, one of two
    ``Name1<TAB>i<TAB>Name2<TAB>j``. Raises UserError, naming file and line, for anything else.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return parse_pairs(data, path)


def parse_pairs(data: bytes, path: str | Path) -> LfwPairs:
    """``read_pairs`` of the bytes of a file called ``path``, which may lie in a tar."""
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not text") from None
    folds, count = _read_first_line(lines[0] if lines else "", path)
    if len(lines) != 1 + 2 * folds * count:
        raise UserError(
            f"{path}: {len(lines) - 1} pairs, but its first line promises {folds} x 2 x {count}"
        )
    left, right, same, fold = [], [], [], []
    for number, line in enumerate(lines[1:]):
        cells = line.split("\t")
        is_same = number // count % 2 == 0
        if len(cells) != (3 if is_same else 4) or not all(cells):
            shape = "Name i j (one person)" if is_same else "Name1 i Name2 j (two persons)"
            raise UserError(f"{path}:{number + 2}: {line!r}: expected {shape}, tabs between")
        where = f"{path}:{number + 2}"
        left.append(_key(cells[0], cells[1], where))
        right.append(
            _key(cells[0], cells[2], where) if is_same else _key(cells[2], cells[3], where)
        )
        if left[-1] == right[-1] or (not is_same and cells[0] == cells[2]):
            raise UserError(f"{where}: {line!r}: an image with itself, or one person as two")
        same.append(is_same)
        fold.append(number // (2 * count))
    return LfwPairs(left, right, np.array(same, bool), np.array(fold, np.int64))


def _read_first_line(line: str, path: str | Path) -> tuple[int, int]:
    cells = line.split("\t")
    if len(cells) != 2 or not all(_is_number(cell) and int(cell) > 0 for cell in cells):
        raise UserError(f"{path}:1: {line[:60]!r}: expected the numbers of folds and of pairs")
    return int(cells[0]), int(cells[1])


def _key(name: str, number: str, where: str) -> str:
    if not _is_number(number) or "/" in name or name.startswith("."):
        raise UserError(f"{where}: {name!r} {number!r}: not a name and an image number")
    return f"{name}/{name}_{int(number):04d}.jpg"


def _is_number(text: str) -> bool:
    """Digits, and no more of them than any count here needs: Python refuses to convert thousands."""
    return text.isascii() and text.isdecimal() and len(text) <= 9


def resolve_pairs(pairs: LfwPairs, source: FaceSource) -> tuple[np.ndarray, np.ndarray]:
    """Places of both images of each pair in ``source``, [P] int64 each, -1 where it is missing.

    The ending is not compared: aligned copies are often PNG. A missing image stays in the result so
    that the caller counts its pair as a failure; ``missing_images`` names it. Raises UserError when
    not one image is there, for then it is another data set.
    """
    place_of = {_stem(key): place for place, key in enumerate(source.keys)}
    left = np.array([place_of.get(_stem(key), -1) for key in pairs.left], np.int64)
    right = np.array([place_of.get(_stem(key), -1) for key in pairs.right], np.int64)
    if (left < 0).all() and (right < 0).all():
        raise UserError(f"{source.name}: none of the pairs' images, e.g. {pairs.left[0]}, is in it")
    return left, right


def missing_images(pairs: LfwPairs, source: FaceSource) -> list[str]:
    """The keys that pairs name and ``source`` lacks, ascending, each once."""
    present = {_stem(key) for key in source.keys}
    return sorted(key for key in {*pairs.left, *pairs.right} if _stem(key) not in present)


def _stem(key: str) -> str:
    return key.rpartition(".")[0]
