"""MATLAB level 5 files, as far as lists of names and numbers: read without making objects of them.

SciPy's reader believes the sizes that a file states and makes objects of all that it holds; of TinyFace's
lists only cells of text and arrays of numbers are wanted. Format: MathWorks, MAT-File Level 5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from urface.data.decode import read_capped
from urface.types import UserError

MAX_BYTES = 64 << 20  # of a file
MAX_INFLATED = 256 << 20  # of one of its variables, uncompressed
DEEPEST = 4  # cells in cells
HEADER = 128
MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
TEXT = {1: "latin-1", 2: "latin-1", 16: "utf-8"}
CELL, CHAR, FIRST_NUMERIC, LAST_NUMERIC = 1, 4, 6, 15
CLASS_BYTE, COMPLEX = 0xFF, 0x800

Value = np.ndarray | list[str]


class _Bad(Exception):
    """What is wrong with a file; becomes a UserError with its name."""


def read_variables(path: str | Path, wanted: Sequence[str]) -> dict[str, Value]:
    """The variables called ``wanted``: cells of text as a list of str, arrays of numbers as float64 [N].

    Both in MATLAB's order, column by column; a cell that holds one cell is looked into. Raises UserError
    for a file that is no level 5 MAT-file (7.3 is HDF5: save it with -v7), is over MAX_BYTES, damaged,
    lacks a variable, or holds one of another kind.
    """
    try:
        data = read_capped(path, MAX_BYTES)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return _read(data, wanted)
    except _Bad as error:
        raise UserError(f"{path}: {error}") from None


def _read(data: bytes, wanted: Sequence[str]) -> dict[str, Value]:
    if len(data) > MAX_BYTES:
        raise _Bad(f"over {MAX_BYTES} bytes")
    if data.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise _Bad("a MATLAB 7.3 file (HDF5), which is not read: save it with `-v7`")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:HEADER])
    if len(data) < HEADER or order is None:
        raise _Bad("not a MATLAB level 5 file")
    found: dict[str, Value] = {}
    reader = _Reader(data, HEADER, len(data), order)
    while not reader.at_end():
        kind, start, stop = reader.element()
        if kind == COMPRESSED:
            inner = _inflate(data[start:stop])
            reader_of_one = _Reader(inner, 0, len(inner), order)
            kind, start, stop = reader_of_one.element()
            matrix = _Reader(inner, start, stop, order)
        else:
            matrix = _Reader(data, start, stop, order)
        if kind != MATRIX:
            raise _Bad(f"an element of type {kind} where a variable is expected")
        header = _matrix_header(matrix)
        if header[2] in found:
            raise _Bad(f"two variables are called {header[2]!r}")
        if header[2] in wanted:
            found[header[2]] = _value(matrix, *header)
    for name in wanted:
        if name not in found:
            raise _Bad(f"no variable {name!r} in it")
    return found


def _inflate(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_INFLATED)
    except zlib.error:
        raise _Bad("damaged: its compressed part cannot be read") from None
    if stream.unconsumed_tail or not stream.eof:
        raise _Bad(f"damaged, or a variable of over {MAX_INFLATED} bytes")
    return plain


class _Reader:
    """Elements one after another between two places of some bytes."""

    def __init__(self, data: bytes, place: int, stop: int, order: str) -> None:
        self.data, self.place, self.stop, self.order = data, place, stop, order

    def at_end(self) -> bool:
        return self.place >= self.stop

    def element(self) -> tuple[int, int, int]:
        """Type, start and stop of the next element's content."""
        if self.place + 8 > self.stop:
            raise _Bad("damaged: it ends inside a tag")
        kind, size = struct.unpack_from(self.order + "II", self.data, self.place)
        start = self.place + 8
        if kind >> 16:  # a small element: type and size in four bytes, the content in the next four
            kind, size, start = kind & 0xFFFF, kind >> 16, self.place + 4
            if size > 4:
                raise _Bad("damaged: a small element of over four bytes")
            self.place += 8
        else:
            self.place = start + size
            if kind != COMPRESSED:
                self.place += -size % 8
        if start + size > self.stop:
            raise _Bad("damaged: an element is longer than the file")
        return kind, start, start + size

    def numbers(self) -> np.ndarray:
        """The next element as numbers of the type that it states."""
        kind, start, stop = self.element()
        if kind not in NUMBERS:
            raise _Bad(f"damaged: type {kind} where numbers are expected")
        kind_of_number = np.dtype(self.order + NUMBERS[kind])
        if (stop - start) % kind_of_number.itemsize:
            raise _Bad("damaged: half a number")
        return np.frombuffer(self.data[start:stop], kind_of_number)


def _matrix_header(reader: _Reader) -> tuple[int, int, str]:
    """Class and flags, number of cells or values, name."""
    flags = reader.numbers()
    dims = reader.numbers().tolist()
    kind, start, stop = reader.element()
    if len(flags) != 2 or flags.dtype.kind == "f" or len(dims) < 2 or kind not in TEXT:
        raise _Bad("damaged: a variable without flags, sizes or name")
    count = 1
    for size in dims:
        if not isinstance(size, int) or size < 0:
            raise _Bad("damaged: a variable of no size")
        count *= size
    return int(flags[0]), count, reader.data[start:stop].decode("latin-1")


def _value(reader: _Reader, flags: int, count: int, name: str) -> Value:
    kind = flags & CLASS_BYTE
    if kind == CELL:
        # Each cell takes at least a tag: a count that a small file cannot hold ends there.
        return [_text(reader, name, 1) for _ in range(count)]
    if FIRST_NUMERIC <= kind <= LAST_NUMERIC and not flags & COMPLEX:
        values = reader.numbers()
        if len(values) != count:
            raise _Bad(f"damaged: {name!r} holds {len(values)} numbers and states {count}")
        return values.astype(np.float64)
    raise _Bad(f"{name!r} is neither a cell array nor an array of numbers")


def _text(outer: _Reader, name: str, depth: int) -> str:
    kind, start, stop = outer.element()
    if kind != MATRIX or depth > DEEPEST:
        raise _Bad(f"{name!r} holds a cell that is no text")
    reader = _Reader(outer.data, start, stop, outer.order)
    flags, count, _ = _matrix_header(reader)
    if flags & CLASS_BYTE == CELL and count == 1:
        return _text(reader, name, depth + 1)
    if flags & CLASS_BYTE != CHAR:
        raise _Bad(f"{name!r} holds a cell that is no text")
    kind, start, stop = reader.element()
    units = {4: "utf-16", 17: "utf-16"}.get(kind)
    encoding = TEXT.get(kind) or (units and units + ("-le" if outer.order == "<" else "-be"))
    if encoding is None:
        raise _Bad(f"damaged: {name!r} holds text of type {kind}")
    try:
        text = reader.data[start:stop].decode(encoding)
    except UnicodeDecodeError:
        raise _Bad(f"damaged: {name!r} holds text that cannot be read") from None
    if len(text) != count:
        raise _Bad(f"damaged: {name!r} holds a text of {len(text)} letters that states {count}")
    return text
