"""Features that another program computed, found by key: safetensors, npz or Parquet. No image is read."""

from __future__ import annotations

import ast
import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from urface.recognisers.convert_weights import digest_of
from urface.recognisers.feature_keys import RowsByKey
from urface.recognisers.recogniser import Features, Preprocessing
from urface.recognisers.unpacked_size import check_unpacked, parquet_keys, parquet_size
from urface.types import UserError

COLUMNS = ("features", "confidence", "variance")
KEY_COLUMNS = ("key", "keys", "path")
# What a damaged zip ends in.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


class Stored(NamedTuple):
    """What a features file holds: N keys, vectors [N, K * D], and what it says of their certainty."""

    keys: list[str]
    vectors: np.ndarray
    parts: int
    confidence: np.ndarray | None
    variance: np.ndarray | None


class FeaturesFile:
    """Features on disk as a Recogniser: it takes keys, never images. Row i of the file is of its key i."""

    needs_images = False
    preprocessing: Preprocessing | None = None
    architecture = "features"

    def __init__(self, path: Path, name: str, parts: int = 1, sha256: str = "") -> None:
        self._take(path, name, digest_of(path, sha256), read_features(path, parts))

    def _take(self, path: Path, name: str, digest: str, stored: Stored) -> None:
        self.path = path
        self.name = name
        self.digest = digest
        self._stored = stored
        self.parts = stored.parts
        self.has_variance = stored.variance is not None
        self._row = RowsByKey(stored.keys)
        if len(self._row) != len(stored.keys):
            seen: set[str] = set()
            twice = next(key for key in stored.keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise UserError(f"{path}: the key {twice} is in it twice")

    def __len__(self) -> int:
        return len(self._row)

    @property
    def dim(self) -> int:
        """K * D."""
        return int(self._stored.vectors.shape[1])

    def features(self, images: Sequence[np.ndarray], keys: Sequence[str]) -> Features:
        """See Recogniser. ``images`` is not looked at; a key that the file lacks is a row of NaN."""
        rows = np.array([self._place(key) for key in keys], np.int64)

        def of_keys(values: np.ndarray) -> np.ndarray:
            found = values[rows].astype(np.float32)
            found[rows < 0] = np.nan
            return found

        confidence, variance = self._stored.confidence, self._stored.variance
        return Features(
            of_keys(self._stored.vectors),
            self.parts,
            None if confidence is None else of_keys(confidence),
            None if variance is None else of_keys(variance),
        )

    def _place(self, key: str) -> int:
        """The row of a key, -1 where it is not there."""
        return self._row.get(key, -1)

    @property
    def example_key(self) -> str:
        """The first of its keys, for who asked for others."""
        return self._stored.keys[0]


def read_features(path: Path, parts: int = 1) -> Stored:
    """The features in a .safetensors, .npz or .parquet, told by how the file begins.

    safetensors  `features` [N, D] (and confidence, variance) with `keys`, a JSON list, in the header or as a
                 tensor of its UTF-8 bytes; or the mean, confidence and variance that `urface embed` writes
    npz          the same arrays, `keys` an array of text; arrays of objects are refused
    Parquet      a column key of text, and columns of lists of equal length

    ``parts`` is K where the file does not say. Raises UserError with what is wrong.
    """
    with open(path, "rb") as file:
        head = file.read(4)
    try:
        if head == b"PAR1":
            columns = _parquet(path)
        elif head == b"PK\x03\x04":
            columns = _npz(path)
        else:
            columns = _safetensors(path)
    except MemoryError:
        raise UserError(f"{path}: its arrays do not fit into memory") from None
    return _checked(path, columns, parts)


def _checked(path: Path, columns: dict[str, Any], parts: int) -> Stored:
    vectors, keys = columns["features"], columns["keys"]
    if vectors.ndim == 3:
        parts = vectors.shape[1]
        vectors = vectors.reshape(len(vectors), -1)
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.size:
        raise UserError(
            f"{path}: features must be floats [N, D], got {vectors.dtype} {list(vectors.shape)}"
        )
    if len(keys) != len(vectors):
        raise UserError(f"{path}: {len(keys)} keys for {len(vectors)} features")
    if parts < 1 or vectors.shape[1] % parts:
        raise UserError(f"{path}: {vectors.shape[1]} dimensions cannot be split into {parts} parts")
    count, each = len(vectors), vectors.shape[1] // parts
    sure = _beside(path, columns, "confidence", vectors, [(count, parts)])
    unsure = _beside(path, columns, "variance", vectors, [(count, parts), (count, parts, each)])
    return Stored(keys, vectors, parts, sure, unsure)


def _beside(
    path: Path,
    columns: dict[str, Any],
    name: str,
    vectors: np.ndarray,
    shapes: list[tuple[int, ...]],
) -> np.ndarray | None:
    values: np.ndarray | None = columns.get(name)
    if values is None:
        return None
    if values.ndim == 1:
        values = values[:, None]
    if values.shape not in shapes and values.ndim == 2 and values.size == np.prod(shapes[-1]):
        values = values.reshape(shapes[-1])
    if values.shape not in shapes or values.dtype.kind != "f":
        raise UserError(
            f"{path}: {name} must be floats {list(shapes[0])}, got {values.dtype} {list(values.shape)}"
        )
    # A row without a finite feature is a failure that is counted, whatever stands beside it.
    used = values[np.isfinite(vectors).all(1)]
    if not (np.isfinite(used) & (used > 0)).all():
        raise UserError(f"{path}: a {name} is not finite or not above 0")
    return values


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    found: dict[str, Any] = {}
    try:
        with safe_open(str(path), framework="numpy") as file:
            names = set(file.keys())
            for name, ours in (("mean", "features"), *((c, c) for c in COLUMNS)):
                if name in names:
                    found[ours] = file.get_tensor(name)
            metadata = file.metadata() or {}
            raw = metadata.get("keys")
            if "keys" in names:
                raw = file.get_tensor("keys").tobytes().decode()
    except (SafetensorError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable features file ({error})") from None
    if "features" not in found or raw is None:
        raise UserError(f"{path}: a features file has the tensor features and keys in its header")
    try:
        keys = json.loads(raw)
    except (json.JSONDecodeError, RecursionError):
        keys = None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise UserError(f"{path}: its keys are not a JSON list of texts")
    return found | {"keys": keys}


def _npz(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = {name: members[name] for name in (*COLUMNS, "keys") if name in members}
            check_unpacked(path, sum(info.file_size for info in wanted.values()))
            found = {name: _array(path, archive, info) for name, info in wanted.items()}
    except (*UNREADABLE, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: not a readable npz ({error})") from None
    if "features" not in found or "keys" not in found:
        raise UserError(f"{path}: an npz of features has the arrays features and keys")
    keys = found["keys"]
    if keys.dtype.kind not in "US" or keys.ndim != 1:
        raise UserError(f"{path}: keys must be an array of text, got {keys.dtype}")
    if keys.dtype.kind == "S":
        keys = np.char.decode(keys, "utf-8")
    return found | {"keys": keys.tolist()}


def _array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array of an npz, its header held against the bytes that follow before any are allocated."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"{path}: {info.filename} is packed in a way that NumPy does not use")
    with archive.open(info) as file:
        head = file.read(12)
        if head[:6] != b"\x93NUMPY" or head[6] not in (1, 2, 3):
            raise UserError(f"{path}: {info.filename} is not a NumPy array")
        wide = 2 if head[6] == 1 else 4
        start = 8 + wide + int.from_bytes(head[8 : 8 + wide], "little")
        if start > 10_000:
            raise UserError(f"{path}: {info.filename} has a header of {start:,} bytes")
        text = (head + file.read(start - 12))[8 + wide : start].decode("latin1")
        try:
            told = ast.literal_eval(text.strip())
            kind = np.dtype(told["descr"])
            shape = tuple(int(side) for side in told["shape"])
        except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
            raise UserError(f"{path}: {info.filename} has no header that we read") from None
        if kind.hasobject or kind.names or kind.kind not in "fUS":
            raise UserError(f"{path}: {info.filename} holds {kind}, not floats or text; refused")
        size = int(np.prod(shape, dtype=object)) * kind.itemsize
        if min(shape, default=1) < 0 or start + size != info.file_size:
            raise UserError(f"{path}: {info.filename} is not as long as its header says")
        values = np.frombuffer(file.read(size), kind)
        return values.reshape(shape, order="F" if told.get("fortran_order") else "C")


def _parquet(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        names = set(schema.names)
        key = next((name for name in KEY_COLUMNS if name in names), None)
        lists = [n for n in schema.names if pa.types.is_fixed_size_list(schema.field(n).type)]
        main = "features" if "features" in names else (lists or [None])[0]
        if key is None or main is None:
            raise UserError(
                f"{path}: a Parquet of features has a column key of text, and features, a list of "
                "fixed length"
            )
        wanted = {main: "features", **{n: n for n in COLUMNS[1:] if n in names}}
        check_unpacked(path, parquet_size(file, [key, *wanted]))
        keys = parquet_keys(path, file, key)
        table = file.read(columns=list(wanted))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: not a readable Parquet ({' '.join(str(error).split())})"
        ) from None
    found: dict[str, Any] = {"keys": keys}
    for name, ours in wanted.items():
        found[ours] = _column(path, name, table.column(name).combine_chunks())
    if parts := _stated_parts(schema.metadata):
        found["features"] = _divided(path, found["features"], parts)
    return found


def _stated_parts(metadata: dict[bytes, bytes] | None) -> int:
    """K as the header of a part of `urface embed` says it, 0 where none does."""
    try:
        return int(json.loads((metadata or {})[b"urface"])["shape"][0])
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0


def _divided(path: Path, vectors: np.ndarray, parts: int) -> np.ndarray:
    if parts < 1 or vectors.ndim != 2 or vectors.shape[1] % parts:
        raise UserError(f"{path}: its features are not the {parts} parts that its header says")
    return vectors.reshape(len(vectors), parts, -1)


def _column(path: Path, name: str, column: Any) -> np.ndarray:
    """A column of numbers, or of lists of fixed length, as [N] or [N, D]."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):  # no row at all
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if column.null_count:
        raise UserError(f"{path}: {name} has empty rows")
    if pa.types.is_fixed_size_list(column.type):
        inner = column.flatten()
        if inner.null_count or not pa.types.is_floating(inner.type):
            raise UserError(f"{path}: {name} must be lists of floats, got {column.type}")
        values: np.ndarray = inner.to_numpy(zero_copy_only=False)
        return values.reshape(len(column), column.type.list_size)
    if not pa.types.is_floating(column.type):
        raise UserError(
            f"{path}: {name} must be floats or lists of a fixed length, got {column.type}"
        )
    plain: np.ndarray = column.to_numpy(zero_copy_only=False)
    return plain
