"""A table of images: where each lies, whose face it is, and what is known to vary in it.

Columns: ``path``, relative to the manifest's folder; ``identity``; any number of label columns with
numbers in 0..1, an empty cell meaning not known. Columns of text are passed over, and so are the
pose columns, which hold degrees. What `urface align` writes is read as well (see photo_table.py).
"""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from urface.atomic import atomic_path
from urface.data.photo_table import aligned_rows, is_photo_table
from urface.data.source import FaceSource, FileReader, build_source
from urface.types import UserError

MANIFEST_NAMES = ("manifest.parquet", "manifest.csv")
NEEDED = ("path", "identity")
POSE_COLUMNS = ("yaw", "pitch", "roll")


class Manifest(NamedTuple):
    """N paths and identities; T label names, their values [N, T] float32, NaN = not known."""

    paths: list[str]
    identities: list[str]
    variation_names: list[str]
    variations: np.ndarray


class Table(NamedTuple):
    """A manifest as read: its two text columns, its number columns, and the line of each row."""

    paths: list[str]
    identities: list[str]
    numbers: dict[str, np.ndarray]
    lines: Sequence[int]


def read_manifest(path: str | Path) -> FaceSource:
    """The images that a ``.csv`` or ``.parquet`` manifest lists, read from beside it.

    Raises UserError as ``parse_manifest`` does, and when the first image is missing: the manifest
    then lies in the wrong folder.
    """
    file = Path(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    manifest = parse_manifest(data, str(file))
    first = file.parent / manifest.paths[0]
    if not first.is_file():
        raise UserError(f"{file}: no file {first}: paths are relative to the manifest's folder")
    return manifest_source(manifest, str(file), FileReader(file.parent, manifest.paths))


def manifest_source(
    manifest: Manifest, name: str, read_bytes: Callable[[int], bytes]
) -> FaceSource:
    """The source of a parsed manifest; ``read_bytes(i)`` reads the image at its i-th path."""
    names, values = manifest.variation_names, manifest.variations
    return build_source(name, manifest.paths, manifest.identities, read_bytes, names, values)


def parse_manifest(data: bytes, name: str, needed: Sequence[str] = NEEDED) -> Manifest:
    """The table in ``data``, Parquet or CSV by the ending of ``name``; it has the ``needed`` columns.

    Without an identity column, where none is needed, there are no identities. Raises UserError,
    naming file and line (in Parquet the row, from 1), where a column is missing or occurs twice, a
    path is absolute, leaves the folder or occurs twice, an identity is empty, or a label is not a
    number in 0..1.
    """
    table = (_read_parquet if name.lower().endswith(".parquet") else _read_csv)(data, name, needed)
    if not table.paths:
        raise UserError(f"{name}: no image in it")
    paths = _checked_paths(table, name)
    for identity, line in zip(table.identities, table.lines, strict="identity" in needed):
        if not identity:
            raise UserError(f"{name}:{line}: an empty identity")
    for column, values in table.numbers.items():
        bad = np.flatnonzero((values < 0) | (values > 1))
        if bad.size:
            value, line = values[bad[0]], table.lines[int(bad[0])]
            raise UserError(
                f"{name}:{line}: {column} is {value:g}: a label must lie in 0..1 "
                f"(degrees go into {', '.join(POSE_COLUMNS)})"
            )
    columns = list(table.numbers.values())
    variations = np.stack(columns, axis=1) if columns else np.empty((len(paths), 0))
    return Manifest(paths, table.identities, list(table.numbers), variations.astype(np.float32))


def _checked_paths(table: Table, name: str) -> list[str]:
    first_line: dict[str, int] = {}
    for path, line in zip(table.paths, table.lines, strict=True):
        if not path or "\0" in path:
            raise UserError(f"{name}:{line}: an empty or unusable path")
        if path.startswith("/") or ".." in path.split("/"):
            raise UserError(f"{name}:{line}: {path!r} leads out of the manifest's folder")
        plain = posixpath.normpath(path)
        if plain in first_line:
            raise UserError(f"{name}:{line}: {path!r} is on line {first_line[plain]} already")
        first_line[plain] = line
    return list(first_line)


def _check_columns(columns: Sequence[str], name: str, needed: Sequence[str]) -> None:
    for column in columns:
        if columns.count(column) > 1:
            raise UserError(f"{name}: two columns are named {column!r}")
    for column in needed:
        if column not in columns:
            raise UserError(f"{name}: no column {column!r}: needed are {' and '.join(needed)}")


def _read_csv(data: bytes, name: str, needed: Sequence[str]) -> Table:
    try:
        text = data.decode("utf-8-sig")  # spreadsheets put a byte order mark in front
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 at byte {error.start}: save it as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        header = next(reader, [])
        _check_columns(header, name, needed)
        for row in reader:
            if not row:  # a blank line
                continue
            if len(row) != len(header):
                raise UserError(
                    f"{name}:{reader.line_num}: {len(row)} cells under {len(header)} columns"
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise UserError(f"{name}:{reader.line_num}: not readable as CSV ({error})") from None
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    numbers: dict[str, np.ndarray] = {}
    for column, cells in columns.items():
        if column not in (*NEEDED, *POSE_COLUMNS):
            values = _parse_numbers(cells, column, lines, name)
            if values is not None:
                numbers[column] = values
    return Table(list(columns.get("path", [])), list(columns.get("identity", [])), numbers, lines)


def _parse_numbers(
    cells: Sequence[str], column: str, lines: Sequence[int], name: str
) -> np.ndarray | None:
    """The cells as float64 with NaN where empty, or None where the column is text.

    A column that mixes the two is refused: one mistyped cell must not turn a label into a text
    column that is passed over.
    """
    values = np.full(len(cells), np.nan)
    text: int | None = None
    found = False
    for row, cell in enumerate(cells):
        stripped = cell.strip()
        if not stripped:
            continue
        try:
            values[row] = float(stripped)
            found = True
        except ValueError:
            text = row if text is None else text
        if found and text is not None:
            raise UserError(
                f"{name}:{lines[text]}: {column} holds both numbers and text "
                f"({cells[text]!r}): mend the cell, or remove the column"
            )
    return values if found or text is None else None


def _read_parquet(data: bytes, name: str, needed: Sequence[str]) -> Table:
    try:
        table = pq.read_table(pa.BufferReader(data))
        table.validate(full=True)  # texts that are not UTF-8 come through reading as they are
        if is_photo_table(table):
            table = aligned_rows(table)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{name}: not a readable Parquet file ({reason})") from None
    _check_columns(table.column_names, name, needed)
    numbers: dict[str, np.ndarray] = {}
    for column in table.column_names:
        kind = table.schema.field(column).type
        numeric = (
            pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        )
        if numeric and column not in (*NEEDED, *POSE_COLUMNS):
            values = table[column].cast(pa.float64()).to_numpy(zero_copy_only=False)
            numbers[column] = np.asarray(values, np.float64)
    texts: list[list[str]] = []
    for column in NEEDED:
        if column not in table.column_names:
            texts.append([])
            continue
        try:
            strings = table[column].cast(pa.string())
        except pa.ArrowException:
            raise UserError(f"{name}: the column {column!r} is not text") from None
        texts.append([value or "" for value in strings.to_pylist()])
    return Table(texts[0], texts[1], numbers, range(1, table.num_rows + 1))


def write_manifest(
    path: str | Path,
    keys: Sequence[str],
    identities: Sequence[str],
    variation_names: Sequence[str] = (),
    variations: np.ndarray | None = None,
) -> None:
    """Write a ``.csv`` or ``.parquet`` manifest, whole or not at all; NaN becomes an empty cell.

    ``identities`` names the identity of each of the N keys, ``variations`` is [N, T]. Raises
    UserError for another ending. ``read_manifest`` gives back what is written, keys ascending.
    """
    file = Path(path)
    values = np.empty((len(keys), 0)) if variations is None else np.asarray(variations, np.float32)
    assert len(identities) == len(keys)
    assert values.shape == (len(keys), len(variation_names))
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise UserError(f"{file}: a manifest ends in .csv or .parquet")
    with atomic_path(file) as temporary:
        if file.suffix.lower() == ".csv":
            with open(temporary, "w", encoding="utf-8", newline="") as out:
                writer = csv.writer(
                    out
                )  # ends lines by \r\n, so that it quotes a lone \r in a name
                writer.writerow([*NEEDED, *variation_names])
                for key, identity, row in zip(keys, identities, values, strict=True):
                    cells = ["" if np.isnan(value) else str(value) for value in row]
                    writer.writerow([key, identity, *cells])
        else:
            columns = {"path": pa.array(keys, pa.string())}
            columns["identity"] = pa.array(identities, pa.string()).dictionary_encode()
            for place, column in enumerate(variation_names):
                columns[column] = pa.array(values[:, place], pa.float32(), from_pandas=True)
            pq.write_table(pa.table(columns), temporary)
