"""The file of a part: Parquet, or a tar in webdataset's manner. The same rows make the same bytes."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from urface.corpus.plan import PartFormat
from urface.types import UserError

ABOUT = "urface"
COLUMNS = {"features": "mean", "confidence": "confidence", "variance": "variance"}


@dataclass(frozen=True, eq=False)
class Rows:
    """N images: mean [N, K, D], confidence [N, K], variance [N, K] or [N, K, D], float32; NaN for a failure.

    ``failures`` is the reason by key.
    """

    keys: list[str]
    mean: np.ndarray
    confidence: np.ndarray
    variance: np.ndarray
    failures: dict[str, str]


def encode(rows: Rows, form: PartFormat, about: dict[str, Any]) -> bytes:
    """The bytes of the file; ``about`` is kept in its header."""
    about = about | {"shape": list(rows.mean.shape[1:]), "failures": rows.failures}
    text = json.dumps(about, sort_keys=True)
    return (_tar if form == "tar" else _parquet)(rows, text)


def about_of(data: bytes) -> dict[str, Any]:
    """What ``encode`` was told, and ``shape`` [K, D], ``failures`` and the number of ``rows``.

    Raises UserError where ``data`` is no part of ours.
    """
    try:
        if data[:4] == b"PAR1":
            file = pq.ParquetFile(io.BytesIO(data))
            rows = file.metadata.num_rows
            text = (file.schema_arrow.metadata or {})[ABOUT.encode()].decode()
        else:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                text = tar.pax_headers[ABOUT]
                rows = sum(name.endswith(".json") for name in tar.getnames())
        about = json.loads(text)
        return dict(about) | {"rows": rows}
    except (pa.ArrowException, tarfile.TarError, LookupError, ValueError, TypeError) as error:
        raise UserError(f"not a part that urface embed wrote ({error})") from None


def read_part(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Keys, and features [N, K, D] with confidence and variance, of a part in a tar."""
    keys: list[str] = []
    columns: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                column = member.name.split(".")[1]
                if column == "json":
                    keys.append(json.loads(file.read())["key"])
                else:
                    array = np.load(io.BytesIO(file.read()), allow_pickle=False)
                    columns[column].append(array)
        return keys, {name: np.stack(values) for name, values in columns.items()}
    except (tarfile.TarError, LookupError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not a part that urface embed wrote ({error})") from None


def _parquet(rows: Rows, about: str) -> bytes:
    columns: dict[str, pa.Array] = {"key": pa.array(rows.keys, pa.string())}
    for name, ours in COLUMNS.items():
        values = getattr(rows, ours).reshape(len(rows.keys), -1)
        flat = pa.array(values.ravel(), pa.float32())
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    reasons = [rows.failures.get(key) for key in rows.keys]
    columns["failure"] = pa.array(reasons, pa.string())
    table = pa.table(columns).replace_schema_metadata({ABOUT: about})
    out = io.BytesIO()
    # Floats of embeddings do not compress; a reader refuses what unpacks to many times its size.
    pq.write_table(table, out, compression="NONE", use_dictionary=False)
    return out.getvalue()


def _tar(rows: Rows, about: str) -> bytes:
    """Of image i ``i.json`` with its key and why it failed, ``i.features.npy`` and so on."""
    out = io.BytesIO()
    headers = {ABOUT: about}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        for row, key in enumerate(rows.keys):
            told = {"key": key, "failure": rows.failures.get(key)}
            _add(tar, f"{row:08d}.json", json.dumps(told).encode())
            for name, ours in COLUMNS.items():
                array = io.BytesIO()
                np.save(array, getattr(rows, ours)[row], allow_pickle=False)
                _add(tar, f"{row:08d}.{name}.npy", array.getvalue())
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # its time is 0, so that the same rows make the same bytes
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
