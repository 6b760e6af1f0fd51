"""A table of images: where each lies, whose face it is, and what is known to vary in it.

Columns: ``path``, relative to the manifest's folder; ``identity``; any number of label columns with
numbers in 0..1, an empty cell meaning not known. Columns of text are passed over, and so are the pose
columns, which hold degrees.
"""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from urface.atomic import atomic_path
from urface.data.source import FaceSource, FileReader, build_source
from urface.types import UserError

MANIFEST_NAMES = ("manifest.parquet", "manifest.csv")
POSE_COLUMNS = ("yaw", "pitch", "roll")
FIELD_LIMIT = 1 << 20  # csv's own limit of 128 KB a cell, raised so that ours gives the message


class Manifest(NamedTuple):
    """N paths and identities, T label names and their values, [N, T] float32 with NaN = not known."""

    paths: list[str]
    identities: list[str]
    variation_names: list[str]
    variations: np.ndarray


def read_manifest(path: str | Path) -> FaceSource:
    """The images a ``.csv`` or ``.parquet`` manifest lists, read from beside it.

    Raises UserError, naming file and line (the row, counted from 1, in Parquet), as ``parse_manifest``
    does, and when the first image is missing: the manifest then lies in the wrong folder.
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
    return source_of(manifest, str(file), FileReader(file.parent, manifest.paths))


def source_of(manifest: Manifest, name: str, reader: FileReader) -> FaceSource:
    """The source of a parsed manifest whose i-th image ``reader`` reads."""
    return build_source(
        name,
        manifest.paths,
        manifest.identities,
        reader,
        manifest.variation_names,
        manifest.variations,
    )


def parse_manifest(data: bytes, name: str) -> Manifest:
    """The table in ``data``, CSV or Parquet by the ending of ``name``.

    Raises UserError where a column is missing or occurs twice, a path is absolute, leaves the folder
    or occurs twice, an identity is empty, or a label is no number in 0..1.
    """
    columns, lines = _read_parquet(data, name) if name.lower().endswith(".parquet") else _read_csv(
        data, name
    )
    for needed in ("path", "identity"):
        if needed not in columns:
            raise UserError(f"{name}: no column {needed!r}: a manifest has path and identity")
    if not lines:
        raise UserError(f"{name}: no image in it")
    paths = _checked_paths(columns.pop("path"), lines, name)
    identities = [_checked_identity(v, f"{name}:{line}") for v, line in zip(columns.pop("identity"), lines, strict=True)]
    names, labels = [], []
    for column, cells in columns.items():
        if column in POSE_COLUMNS:
            continue
        numbers = _numbers(cells, column, lines, name)
        if numbers is not None:
            names.append(column)
            labels.append(numbers)
    variations = np.stack(labels, axis=1) if labels else np.empty((len(lines), 0), np.float32)
    return Manifest(paths, identities, names, variations)
