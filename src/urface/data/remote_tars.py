"""Tar shards in a store: indexed once, the index kept on this machine, images read by ranges."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from urface.atomic import atomic_path
from urface.data.decode import DEFAULT_LIMITS
from urface.data.join import join, with_equal_digits
from urface.data.ranges import LEAST_BYTES, RangeCache
from urface.data.remote import RemoteFile
from urface.data.source import FaceSource
from urface.data.storage import block_numbers
from urface.data.tar_index import TarMember, walk_tar
from urface.data.tars import most_text, tar_source
from urface.types import UserError

WINDOW = 4 << 20  # read at once while indexing: between the headers of faces lie a few KB each
MAX_BLOCK_BYTES = 64 << 20  # a block that would take more is not fetched whole
AT_ONCE = 8
VERSION = "1"


class RemoteTar:
    """A tar at a URL and where its ``members`` lie; ``texts``, by offset, are what .cls and .json hold."""

    def __init__(
        self,
        file: RemoteFile,
        members: list[TarMember],
        texts: dict[int, bytes],
        cache: RangeCache,
    ) -> None:
        self.file, self.members, self.texts, self.cache = file, members, texts, cache

    def reader(
        self, members: Sequence[TarMember], max_bytes: int = DEFAULT_LIMITS.max_bytes + 1
    ) -> RemoteReader:
        """Reads image ``i`` as the i-th of ``members``."""
        return RemoteReader(self, members, max_bytes)


class RemoteReader:
    """Reads by one request each, or from a range that was fetched before. Safe to use from threads."""

    def __init__(self, tar: RemoteTar, members: Sequence[TarMember], max_bytes: int) -> None:
        self.tar = tar
        self.members, self.max_bytes = members, max_bytes
        self.starts = np.array([member.offset for member in members], np.int64)
        sizes = np.array([member.size for member in members], np.int64)
        self.ends = self.starts + np.minimum(sizes, max_bytes)
        self._numbers = block_numbers(self.starts)
        count = int(self._numbers.max(initial=-1)) + 1
        self.first = np.full(count, np.iinfo(np.int64).max)
        self.last = np.zeros(count, np.int64)
        np.minimum.at(self.first, self._numbers, self.starts)
        np.maximum.at(self.last, self._numbers, self.ends)

    def __call__(self, index: int) -> bytes:
        start, end = int(self.starts[index]), int(self.ends[index])
        file, cache = self.tar.file, self.tar.cache
        if start in self.tar.texts:
            return self.tar.texts[start]
        number = self._numbers[index]
        first, last = int(self.first[number]), int(self.last[number])
        block = cache.find(file, first, last)
        if block is not None:
            return block[start - first : end - first]
        alone = cache.find(file, start, end)
        return file.read(end - start, start) if alone is None else alone

    def where(self, index: int) -> tuple[str, int]:
        return self.tar.file.url, int(self.starts[index])

    def blocks(self) -> np.ndarray:
        return self._numbers

    def stamp(self, index: int) -> bytes:
        return f"{self.tar.file.stamp} {self.starts[index]} {self.ends[index]}".encode()

    def narrowed(self, indices: np.ndarray) -> RemoteReader:
        tar = RemoteTar(self.tar.file, [], {}, RangeCache(self.tar.cache.capacity))
        return RemoteReader(tar, [self.members[index] for index in indices], self.max_bytes)

    def fetch(self, places: np.ndarray, near: bool) -> None:
        """Ask for the images ``places``, ``near``: for their whole blocks."""
        cache, file = self.tar.cache, self.tar.file
        if near:
            for number in np.unique(self._numbers[places]).tolist():
                first, last = int(self.first[number]), int(self.last[number])
                if last - first <= MAX_BLOCK_BYTES:
                    cache.ask(file, first, last)
            return
        for place in places.tolist():
            cache.ask(file, int(self.starts[place]), int(self.ends[place]))

    def waits(self, allowed: bool) -> None:
        (self.tar.cache.open if allowed else self.tar.cache.close)()


def remote_source(urls: Sequence[str], window: int = 0, progress: bool = True) -> FaceSource:
    """The faces of the tars at ``urls``, people of the same name together, as of local shards.

    ``window`` images are to be mixed (see ``data.shuffle_window``): memory for their blocks is kept.
    Raises UserError as ``RemoteFile``, ``index_tar`` and ``read_tar`` do.
    """
    cache = RangeCache()
    with (
        tqdm(
            total=len(urls), desc="shards", disable=not progress or len(urls) < 2, leave=False
        ) as bar,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        tars = []
        for tar in pool.map(lambda url: open_tar(url, cache), urls):
            tars.append(tar)
            bar.update()
    sources = [tar_source(tar.file.url, tar.members, tar.reader) for tar in tars]
    source = join(with_equal_digits(sources))
    mean = sum(tar.file.size for tar in tars) / len(source)
    # A half more than the window needs on average, since its far edge is not sharp.
    cache.capacity = max(LEAST_BYTES, int(1.5 * window * mean))
    return source


def open_tar(url: str, cache: RangeCache) -> RemoteTar:
    """The tar at ``url``, its index from this machine's cache where the file has not changed since."""
    file = RemoteFile(url)
    place = index_folder() / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.parquet"
    kept = _load(place, file)
    if kept is None:
        kept = _index(file)
        try:
            _save(place, file, *kept)
        except OSError as error:
            print(f"{place}: the index cannot be kept ({error.strerror})", file=sys.stderr)
    return RemoteTar(file, *kept, cache)


def index_folder() -> Path:
    """Where indices are kept: XDG_CACHE_HOME, or .cache in the user's folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "urface" / "shards"


def _index(file: RemoteFile) -> tuple[list[TarMember], dict[int, bytes]]:
    window, start = b"", 0

    def read(length: int, offset: int) -> bytes:
        nonlocal window, start
        if not start <= offset <= offset + length <= start + len(window):
            window, start = file.read(max(WINDOW, length), offset), offset
        return window[offset - start : offset - start + length]

    texts: dict[int, bytes] = {}

    def seen(member: TarMember) -> None:
        if 0 < member.size <= most_text(member.name):
            texts[member.offset] = read(member.size, member.offset)

    return walk_tar(file.url, read, file.size, seen), texts


def _save(place: Path, file: RemoteFile, members: list[TarMember], texts: dict[int, bytes]) -> None:
    table = pa.table(
        {
            "name": pa.array([m.name for m in members], pa.string()),
            "offset": pa.array([m.offset for m in members], pa.int64()),
            "size": pa.array([m.size for m in members], pa.int64()),
            "text": pa.array([texts.get(m.offset) for m in members], pa.binary()),
        }
    )
    with atomic_path(place) as temporary:
        pq.write_table(table.replace_schema_metadata(_facts(file)), temporary)


def _load(place: Path, file: RemoteFile) -> tuple[list[TarMember], dict[int, bytes]] | None:
    """The index at ``place``; None where there is none, or one of other bytes or unreadable."""
    try:
        table = pq.read_table(place)
        if (table.schema.metadata or {}) != _facts(file):
            return None
        columns = [table[name].to_pylist() for name in ("name", "offset", "size", "text")]
    except (OSError, pa.ArrowException, KeyError, UserError):
        return None
    names, offsets, sizes, texts = columns
    members = list(map(TarMember, names, offsets, sizes))
    return members, {o: t for o, t in zip(offsets, texts, strict=True) if t is not None}


def _facts(file: RemoteFile) -> dict[bytes, bytes]:
    return {
        b"url": file.url.encode(), b"stamp": file.stamp.encode(), b"version": VERSION.encode()
    }  # fmt: skip
