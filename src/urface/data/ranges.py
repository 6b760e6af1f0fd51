"""Ranges of remote files asked for ahead of their use and kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

from urface.data.remote import RemoteFile

REQUESTS = 16  # at a time: a store answers in tens of milliseconds, whatever else it does
LEAST_BYTES = 256 << 20

Range = tuple[str, int, int]


class RangeCache:
    """Keeps about ``capacity`` bytes of ranges, those longest unused going first. Safe from threads."""

    def __init__(self, capacity: int = LEAST_BYTES) -> None:
        self.capacity = capacity
        self.requests = 0
        self._held = 0
        self._ranges: OrderedDict[Range, Future[bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return RangeCache, (self.capacity,)

    def ask(self, file: RemoteFile, start: int, end: int) -> None:
        """Have bytes ``start`` to ``end`` fetched, unless they are here or on their way."""
        key = (file.url, start, end)
        with self._lock:
            if key in self._ranges:
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(REQUESTS, "ranges")
            self.requests += 1
            self._ranges[key] = self._pool.submit(file.read, end - start, start)
            self._held += end - start
            while self._held > self.capacity and len(self._ranges) > 1:
                (_, first, last), _ = self._ranges.popitem(last=False)
                self._held -= last - first

    def find(self, file: RemoteFile, start: int, end: int) -> bytes | None:
        """The bytes where they were asked for and not dropped since; waits for those on their way."""
        key = (file.url, start, end)
        with self._lock:
            found = self._ranges.get(key)
            if found is not None:
                self._ranges.move_to_end(key)
        return None if found is None else found.result()
