"""Text files of columns, read by the million rows and as strictly as by hand.

Arrow parses the whole file at once; only where it refuses is the file gone through line by line, to say
which line is at fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from urface.types import UserError

Kind = Literal["whole", "real", "real or empty", "text"]
Header = Literal["none", "any", "names"]
INTEGER = re.compile(r"[+-]?[0-9]+")
REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
LARGEST = (1 << 62) - 1  # of a whole number: sums and differences of two still fit
LONGEST_LINE = 1 << 20
SHOWN = 60  # characters of a bad field that a message repeats


class Column(NamedTuple):
    """A column to read: whole numbers, reals (finite; NaN where empty), or text that is not empty."""

    name: str
    kind: Kind


class Names(NamedTuple):
    """Text of R rows: the different ones in order of appearance, and [R] int64 places among them."""

    names: list[str]
    places: np.ndarray


@dataclass(frozen=True, eq=False)
class Table:
    """R rows of the file ``path``, the first of them on line ``first_line``.

    whole  [R] int64, of each column of whole numbers
    real   [R] float64
    text   Names of R rows
    """

    path: Path
    first_line: int
    rows: int
    whole: dict[str, np.ndarray]
    real: dict[str, np.ndarray]
    text: dict[str, Names]

    def __len__(self) -> int:
        return self.rows

    def where(self, row: int) -> str:
        """File and line of a row, to begin a message with."""
        return f"{self.path}:{self.first_line + int(row)}"

    def refuse(self, bad: np.ndarray, why: str) -> None:
        """Raise UserError with the line of the first row of the mask ``bad`` [R], if there is any."""
        if bad.any():
            raise UserError(f"{self.where(int(np.argmax(bad)))}: {why}")

    def refuse_repeats(self, column: str) -> None:
        """Raise UserError with the line of the first row whose text in ``column`` is there already."""
        names, places = self.text[column]
        if len(names) != len(self):
            again = np.ones(len(self), bool)
            again[np.unique(places, return_index=True)[1]] = False
            self.refuse(again, f"this {column} is there already")


def read_columns(
    path: Path, columns: Sequence[Column], delimiter: str = " ", header: Header = "none"
) -> Table:
    """The ``columns`` of a text file with ``delimiter`` between fields and a row on every line.

    header  "none": the file's columns are these, in this order; "any": its first line is a header of
            whatever words, and these are the first columns below it; "names": the header names them
    Quotes mean nothing. Raises UserError, with the line, for another number of fields, a field of another
    kind, an empty line, text that is not UTF-8, and where a file cannot be read or has no row.
    """
    try:
        names, first_line = _header(path, columns, delimiter, header)
        table = _parse(path, names, columns, delimiter, first_line - 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not table.num_rows:
        raise UserError(f"{path}: no row in it")
    result = Table(path, first_line, table.num_rows, {}, {}, {})
    for name, kind in columns:
        _add(result, name, kind, table[name])
    return result


def _header(
    path: Path, columns: Sequence[Column], delimiter: str, header: Header
) -> tuple[list[str], int]:
    """Names of all columns of the file, and the line of its first row."""
    wanted = [column.name for column in columns]
    if header == "none":
        return wanted, 1
    with open(path, "rb") as file:
        line = file.readline(LONGEST_LINE)
    try:
        cells = line.decode("utf-8-sig").rstrip("\r\n").split(delimiter)
    except UnicodeDecodeError:
        raise UserError(f"{path}:1: not text in UTF-8") from None
    cells = [cell.strip() for cell in cells]
    if header == "names":
        for name in wanted:
            if cells.count(name) != 1:
                raise UserError(f"{path}:1: the header names {name} {cells.count(name)} times")
        return [c if c in wanted else f"{i} {c}" for i, c in enumerate(cells)], 2
    # Data where the header should be would be passed over in silence, a row less.
    if len(cells) < len(wanted) or any(_is_data(cell) for cell in cells):
        shape = f"a header of {len(wanted)} or more columns"
        raise UserError(f"{path}:1: {line[:SHOWN]!r}: expected {shape} ({', '.join(wanted)})")
    return [*wanted, *(f"{i} {c}" for i, c in enumerate(cells) if i >= len(wanted))], 2


def _is_data(cell: str) -> bool:
    return REAL.fullmatch(cell) is not None or "/" in cell


def _parse(
    path: Path, names: list[str], columns: Sequence[Column], delimiter: str, skipped: int
) -> pa.Table:
    types = {"whole": pa.int64(), "real": pa.float64(), "text": pa.string()}
    types["real or empty"] = pa.float64()
    try:
        return csv.read_csv(
            str(path),
            read_options=csv.ReadOptions(
                column_names=names, skip_rows=skipped, block_size=4 * LONGEST_LINE
            ),
            parse_options=csv.ParseOptions(
                delimiter=delimiter, quote_char=False, ignore_empty_lines=False
            ),
            convert_options=csv.ConvertOptions(
                column_types={column.name: types[column.kind] for column in columns},
                include_columns=[column.name for column in columns],
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowException as error:
        _explain(path, names, columns, delimiter, skipped)
        # Arrow's own words name a chunk, not a line; they are better than none.
        raise UserError(f"{path}: not readable as a table ({str(error)[:200]!r})") from None


def _explain(
    path: Path, names: list[str], columns: Sequence[Column], delimiter: str, skipped: int
) -> None:
    """Raise UserError for the first line that is not as ``columns`` ask."""
    kinds = [(names.index(name), name, kind) for name, kind in columns]
    rows = 0
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            if number <= skipped:
                continue
            rows += 1
            where = f"{path}:{number}"
            if len(line) == LONGEST_LINE:
                raise UserError(f"{where}: a line of over {LONGEST_LINE} bytes")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                raise UserError(f"{where}: not text in UTF-8") from None
            cells = text.split(delimiter)
            if len(cells) != len(names):
                raise UserError(f"{where}: {len(cells)} fields, {len(names)} are expected")
            for place, name, kind in kinds:
                if not _fits(cells[place].strip(), kind):
                    wanted = {"whole": "a whole number", "text": "a name"}.get(kind, "a number")
                    raise UserError(f"{where}: {name} is {cells[place][:SHOWN]!r}, not {wanted}")
    if not rows:
        raise UserError(f"{path}: no row in it")


def _fits(cell: str, kind: Kind) -> bool:
    if kind == "whole":
        return INTEGER.fullmatch(cell) is not None and len(cell) < 20 and abs(int(cell)) <= LARGEST
    if kind == "text":
        return cell != ""
    return REAL.fullmatch(cell) is not None or (kind == "real or empty" and cell == "")


def _add(result: Table, name: str, kind: Kind, column: pa.ChunkedArray) -> None:
    """Put a parsed column into ``result``. Raises UserError for what Arrow lets pass and we do not."""
    if column.null_count and kind != "real or empty":
        result.refuse(column.is_null().to_numpy(), f"{name} is empty")
    if kind == "text":
        unique = column.unique()
        names = unique.to_pylist()
        places = pc.index_in(column, value_set=unique).to_numpy().astype(np.int64)
        odd = np.array(["\0" in text or text.strip() != text for text in names])
        result.refuse(odd[places], f"{name} has a space or a zero byte at an end or in it")
        result.text[name] = Names(names, places)
        return
    values = column.to_numpy()
    if kind == "whole":
        values = values.astype(np.int64, copy=False)
        result.refuse(
            (values > LARGEST) | (values < -LARGEST), f"{name} is over {LARGEST}: too large"
        )
        result.whole[name] = values
        return
    values = values.astype(np.float64, copy=False)
    # An empty field is NaN from here on; the word nan is refused, for it is no measurement.
    empty = column.is_null().to_numpy() if column.null_count else np.zeros(len(values), bool)
    result.refuse(~np.isfinite(values) & ~empty, f"{name} is not a finite number")
    result.real[name] = values
