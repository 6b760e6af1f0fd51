"""Encoded images in a column of Parquet, as data sets are shared on hubs; by path or by URL."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from urface.data.decode import DEFAULT_LIMITS
from urface.data.remote import RemoteFile, is_url
from urface.data.source import FaceSource, check_distinct
from urface.types import UserError

IMAGES = ("image", "jpg", "png", "bytes")
KEYS = ("key", "__key__", "path", "name")
MAX_GROUP_BYTES = 2 << 30  # of a row group's images, which are read together


class ParquetImages:
    """Reads image ``i`` from row ``rows[i]``; neighbours cost little, for a row group is kept."""

    def __init__(
        self, url: str, column: str, rows: np.ndarray, ends: np.ndarray, told: bytes
    ) -> None:
        self.url = url
        self.column = column
        self.rows = rows
        self.ends = ends  # the row after each row group's last
        self.told = told
        self._lock = threading.Lock()
        self._group: tuple[int, Any] = (-1, None)

    def __reduce__(self) -> tuple[object, ...]:
        return ParquetImages, (self.url, self.column, self.rows, self.ends, self.told)

    def __call__(self, index: int) -> bytes:
        row = int(self.rows[index])
        number = int(np.searchsorted(self.ends, row, "right"))
        with self._lock:
            if self._group[0] != number:
                self._group = (number, self._read(number))
            value = self._group[1][row - (int(self.ends[number - 1]) if number else 0)]
        if pa.types.is_struct(value.type):
            value = value["bytes"]
        data = value.as_buffer()
        if data is None:
            return b""
        return data.slice(0, min(data.size, DEFAULT_LIMITS.max_bytes + 1)).to_pybytes()

    def _read(self, number: int) -> Any:
        try:
            file = pq.ParquetFile(_Reads(self.url))
            table = file.read_row_group(number, columns=[self.column])
        except pa.ArrowException as error:
            raise OSError(5, f"{self.url}: damaged Parquet, {error}") from None
        return table.column(0).combine_chunks()

    def narrowed(self, indices: np.ndarray) -> ParquetImages:
        return ParquetImages(self.url, self.column, self.rows[indices], self.ends, self.told)

    def stamp(self, index: int) -> bytes:
        return self.told + b" %d" % int(self.rows[index])


def holds_images(path: str) -> bool:
    """Whether a Parquet file has a column of encoded images."""
    try:
        return _column(pq.read_schema(_Reads(path))) is not None
    except (pa.ArrowException, OSError):
        return False


def read_parquet_images(path: str) -> FaceSource:
    """The images in the column image (binary, or bytes within a struct) of a Parquet file, in its order.

    Keys are those of a column key, __key__, path or name; without one the numbers of the rows. Raises
    UserError where keys are missing or equal, or a row group's images are over 2 GB.
    """
    url = path if is_url(path) else str(Path(path).absolute())
    try:
        opened = _Reads(url)
        file = pq.ParquetFile(opened)
        schema, footer = file.schema_arrow, file.metadata
        column = _column(schema)
        if column is None or not footer.num_rows:
            raise UserError(f"{path}: no image in it: expected a column image of bytes")
        counts, sizes = [], []
        for group in range(footer.num_row_groups):
            rows = footer.row_group(group)
            chunks = [rows.column(place) for place in range(rows.num_columns)]
            images = [c for c in chunks if c.path_in_schema.partition(".")[0] == column]
            counts.append(rows.num_rows)
            sizes.append(sum(chunk.total_uncompressed_size for chunk in images))
        if max(sizes) > MAX_GROUP_BYTES:
            raise UserError(
                f"{path}: a row group of {max(sizes):,} bytes: write it with fewer rows a group"
            )
        name = next((name for name in KEYS if name in schema.names), None)
        if name:
            keys = file.read(columns=[name]).column(0).to_pylist()
        else:
            wide = len(str(footer.num_rows - 1))
            keys = [f"{row:0{wide}d}" for row in range(footer.num_rows)]
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path}: not a readable Parquet ({' '.join(str(error).split())})"
        ) from None
    if not all(isinstance(key, str) and key for key in keys):
        raise UserError(f"{path}: the column {name} must be text, with no empty row")
    check_distinct(keys, path, "image")
    reader = ParquetImages(url, column, np.arange(len(keys)), np.cumsum(counts), opened.stamp)
    none = np.empty((len(keys), 0), np.float32)
    return FaceSource(path, keys, np.zeros(len(keys), np.int64), [""], (), none, reader)


def _column(schema: pa.Schema) -> str | None:
    for name in IMAGES:
        if name in schema.names:
            kind = schema.field(name).type
            if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
                kind = kind.field("bytes").type
            if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
                return name
    return None


class _Reads(io.RawIOBase):
    """What Arrow needs of a file. Raises UserError where the store fails, and never holds anything open."""

    def __init__(self, path: str) -> None:
        self._file = RemoteFile(path)
        self._at = 0
        self.stamp = self._file.stamp.encode()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        self._at = start + offset
        return self._at

    def read(self, length: int = -1) -> bytes:
        data = self._file.read(self._file.size if length < 0 else length, self._at)
        self._at += len(data)
        return data
