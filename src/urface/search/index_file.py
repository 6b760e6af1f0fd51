"""The file of an embedded index: templates and their ids in one piece, so that they cannot part.

    8 bytes  "urindex1"
    4 bytes  length of the header, little-endian
    header   JSON: kind, K, D, spread (variances a template), count, stamp, arrays [[name, type, shape]], salt
    payload  ids int64, means float32, variances float32, then the arrays, little-endian, nothing between
    32 bytes SHA-256 of all before it (without a key)

With a key the payload is AES-256-GCM in chunks of CHUNK bytes (each 16 longer, no SHA-256 behind them). The
file's own key is HMAC-SHA256(key, salt); the nonce is the chunk's number; header and "is the last" are
authenticated with each, so that no chunk can be changed, moved, left out or taken from another file.

No engine's own format is read: FAISS structures are built anew from these numbers, and its readers never see
a file. Nothing is used before all of it has been checked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from urface.atomic import atomic_path, write_chunks
from urface.search.blocks import BLOCK
from urface.search.rows import Rows, usable
from urface.types import UserError

MAGIC = b"urindex1"
CHUNK = 1 << 22  # bytes
TAG, DIGEST = 16, 32
LONGEST_HEADER = 1 << 16
MOST, WIDEST = 1 << 28, 1 << 16  # templates, and numbers of one
TYPES = ("<i4", "<f4", "<f8", "<i8")


@dataclass
class Saved:
    """What a file holds."""

    rows: Rows
    kind: str
    stamp: str
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def write_index(
    path: str | Path,
    rows: Rows,
    kind: str,
    stamp: str,
    key: bytes | None,
    arrays: dict[str, np.ndarray] | None = None,
) -> None:
    """Write ``rows`` and ``arrays`` to ``path``, whole or not at all, readable by its owner alone.

    Raises UserError for a key that is not of 32 bytes, OSError where it cannot be written.
    """
    arrays = arrays or {}
    shape = rows.shape or (0, 0)
    salt = secrets.token_bytes(32)
    header = {
        "kind": kind,
        "K": shape[0],
        "D": shape[1],
        "spread": rows.spread,
        "count": len(rows),
        "stamp": stamp,
        "arrays": [[n, a.dtype.newbyteorder("<").str, list(a.shape)] for n, a in arrays.items()],
        "salt": salt.hex() if key is not None else "",
    }
    text = json.dumps(header).encode()
    if len(text) > LONGEST_HEADER:
        raise UserError(f"the stamp of an index has at most some 60,000 letters, not {len(stamp)}")
    head = MAGIC + len(text).to_bytes(4, "little") + text
    payload = _chunks(_pieces(rows, arrays))
    body = _hashed(head, payload) if key is None else _sealed(head, payload, _file_key(key, salt))
    with atomic_path(path) as temporary:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        write_chunks(temporary, body, sync=False)


def read_index(path: str | Path, key: bytes | None, kind: str = "exact") -> Saved:
    """What ``write_index`` wrote. Raises UserError for anything else, or where the key is not the file's."""
    try:
        with open(path, "rb") as file:
            return _read(file, key, kind)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except _DamagedError as error:
        raise UserError(f"{path}: {error}; build the index anew") from None


class _DamagedError(Exception):
    """The file is not what was written."""


def _read(file: BinaryIO, key: bytes | None, kind: str) -> Saved:
    start = file.read(len(MAGIC) + 4)
    if start[: len(MAGIC)] != MAGIC or len(start) < len(MAGIC) + 4:
        raise _DamagedError("not an index that urface wrote")
    length = int.from_bytes(start[len(MAGIC) :], "little")
    if length > LONGEST_HEADER:
        raise _DamagedError("its header is too long")
    text = file.read(length)
    header = _header(text)
    if header["kind"] != kind:
        raise _DamagedError(f"an index of the kind {header['kind']!r}, not {kind!r}")
    if bool(header["salt"]) != (key is not None):
        raise _DamagedError("encrypted, and no key was given" if key is None else "not encrypted")
    size = _payload_size(header)
    chunks = max(1, -(-size // CHUNK))
    expected = len(start) + len(text) + size + (DIGEST if key is None else TAG * chunks)
    if os.fstat(file.fileno()).st_size != expected:
        raise _DamagedError("cut short or longer than its header says")
    head = start + text
    if key is None:
        plain = _unhashed(head, file, size)
    else:
        salt = bytes.fromhex(header["salt"])
        plain = _unsealed(head, file, size, _file_key(key, salt))
    return _assemble(header, _Reader(plain))


def _header(text: bytes) -> dict[str, Any]:
    """The header, every field of the right type and within limits."""
    try:
        header = json.loads(text)
        K, D, spread, count = (header[n] for n in ("K", "D", "spread", "count"))
        sound = all(type(n) is int for n in (K, D, spread, count))
        sound = sound and 0 <= count <= MOST and K >= 0 and D >= 0 and K * D <= WIDEST
        sound = sound and (spread in (K, K * D)) and (K * D > 0 or count == 0)
        sound = sound and all(type(header[n]) is str for n in ("kind", "stamp", "salt"))
        sound = sound and len(bytes.fromhex(header["salt"])) in (0, 32)
        for name, kind, shape in header["arrays"]:
            sound = sound and type(name) is str and kind in TYPES and len(shape) <= 2
            sound = sound and all(type(n) is int and 0 <= n <= MOST for n in shape)
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise _DamagedError("its header is damaged")
    return dict(header)


def _payload_size(header: dict[str, Any]) -> int:
    size = int(header["count"] * (8 + 4 * header["K"] * header["D"] + 4 * header["spread"]))
    return size + sum(int(kind[-1]) * math.prod(shape) for _, kind, shape in header["arrays"])


def _assemble(header: dict[str, Any], reader: _Reader) -> Saved:
    """Rows and arrays of the payload; by blocks, and all of it is read before anything is returned."""
    rows = Rows()
    count, shape, spread = header["count"], (header["K"], header["D"]), header["spread"]
    ids = reader.take("<i8", count)
    if shape[0]:
        rows.begin(shape, spread)
        for table in (rows.mean, rows.variance):
            for first in range(0, count, BLOCK):
                n = min(BLOCK, count - first)
                table.append(reader.take("<f4", n * table.width).reshape(n, table.width))
    arrays = {
        name: reader.take(kind, math.prod(shape)).reshape(shape)
        for name, kind, shape in header["arrays"]
    }
    reader.end()
    if count:
        rows.id_of.append(ids[:, None])
        rows.place = dict(zip(ids.tolist(), range(count), strict=True))
        if len(rows.place) != count or ids.min() < 0:
            raise _DamagedError("its ids are damaged")
        # A checksum alone is no promise that a program of ours wrote it.
        for _, mean, variance in rows.tiles():
            if not usable(mean, variance).all():
                raise _DamagedError("it holds templates without an embedding")
    return Saved(rows, header["kind"], header["stamp"], arrays)


class _Reader:
    """Numbers out of a stream of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.rest = memoryview(b"")

    def take(self, kind: str, count: int) -> np.ndarray:
        """``count`` numbers of a type, as a new array."""
        out = np.empty(count, np.dtype(kind))
        view, done = out.view(np.uint8), 0
        while done < len(view):
            if not len(self.rest):
                self.rest = memoryview(next(self.chunks))
            taken = min(len(self.rest), len(view) - done)
            view[done : done + taken] = np.frombuffer(self.rest[:taken], np.uint8)
            self.rest = self.rest[taken:]
            done += taken
        return out.astype(out.dtype.newbyteorder("="), copy=False)

    def end(self) -> None:
        """Read on to the end, where the last check is made."""
        for _ in self.chunks:
            pass


def _pieces(rows: Rows, arrays: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    if rows.shape is not None:
        for table in (rows.id_of, rows.mean, rows.variance):
            for _, block in table.tiles():
                yield block
    yield from arrays.values()


def _chunks(pieces: Iterable[np.ndarray]) -> Iterator[bytes]:
    """The bytes of all pieces in chunks of CHUNK, the last shorter; at least one."""
    held = bytearray()
    for piece in pieces:
        little = np.ascontiguousarray(piece, piece.dtype.newbyteorder("<"))
        view = memoryview(little.reshape(-1).view(np.uint8).data)
        while len(held) + len(view) > CHUNK:
            taken = CHUNK - len(held)
            yield bytes(held) + bytes(view[:taken])
            held, view = bytearray(), view[taken:]
        held += view
    yield bytes(held)


def _hashed(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    digest = hashlib.sha256(head)
    yield head
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    yield digest.digest()


def _unhashed(head: bytes, file: BinaryIO, size: int) -> Iterator[bytes]:
    digest = hashlib.sha256(head)
    left = size
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise _DamagedError("cut short")
        digest.update(chunk)
        left -= len(chunk)
        yield chunk
    if not hmac.compare_digest(digest.digest(), file.read(DIGEST)):
        raise _DamagedError("damaged: its SHA-256 is not that of its bytes")


def _file_key(key: bytes, salt: bytes) -> bytes:
    if len(key) != 32:
        raise UserError(f"the key of an index has 32 bytes, not {len(key)}")
    return hmac.digest(key, b"urface search index\0" + salt, "sha256")


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise UserError('an encrypted index needs: pip install "urface[gallery]"') from None
    return AESGCM(key)


def _sealed(head: bytes, chunks: Iterator[bytes], key: bytes) -> Iterator[bytes]:
    cipher, number = _cipher(key), 0
    authenticated = hashlib.sha256(head).digest()
    yield head
    chunk = next(chunks)
    for following in chunks:
        yield cipher.encrypt(number.to_bytes(12, "little"), chunk, authenticated + b"more")
        chunk, number = following, number + 1
    yield cipher.encrypt(number.to_bytes(12, "little"), chunk, authenticated + b"last")


def _unsealed(head: bytes, file: BinaryIO, size: int, key: bytes) -> Iterator[bytes]:
    from cryptography.exceptions import InvalidTag

    cipher = _cipher(key)
    authenticated = hashlib.sha256(head).digest()
    chunks = max(1, -(-size // CHUNK))
    for number in range(chunks):
        last = number == chunks - 1
        length = size - number * CHUNK if last else CHUNK
        try:
            yield cipher.decrypt(
                number.to_bytes(12, "little"),
                file.read(length + TAG),
                authenticated + (b"last" if last else b"more"),
            )
        except InvalidTag:
            raise _DamagedError("damaged, or encrypted with another key") from None
