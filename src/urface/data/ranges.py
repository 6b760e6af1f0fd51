"""Ranges of remote files asked for ahead of their use and kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from queue import Empty, SimpleQueue

from urface.data.remote import RemoteFile

REQUESTS = 16  # at a time: a store answers in tens of milliseconds, whatever else it does
LEAST_BYTES = 256 << 20

Range = tuple[str, int, int]
Asked = SimpleQueue[tuple["Future[bytes]", RemoteFile, int, int] | None]


class RangeCache:
    """Keeps about ``capacity`` bytes of ranges, those longest unused going first. Safe from threads."""

    def __init__(self, capacity: int = LEAST_BYTES) -> None:
        self.capacity = capacity
        self.requests = 0
        self._held = 0
        self._ranges: OrderedDict[Range, Future[bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._asked: Asked = SimpleQueue()
        self._threads = 0
        self._closed = False

    def __reduce__(self) -> tuple[object, ...]:
        return RangeCache, (self.capacity,)

    def ask(self, file: RemoteFile, start: int, end: int) -> None:
        """Have bytes ``start`` to ``end`` fetched, unless they are here or on their way."""
        key = (file.url, start, end)
        with self._lock:
            if key in self._ranges:
                return
            if self._threads < REQUESTS:
                # Daemons, which a pool's threads are not: the end of the program waits for no store.
                threading.Thread(None, _read, "ranges", (self._asked,), daemon=True).start()
                self._threads += 1
            self.requests += 1
            self._ranges[key] = Future()
            self._asked.put((self._ranges[key], file, start, end))
            self._held += end - start
            while self._held > self.capacity and len(self._ranges) > 1:
                (_, first, last), _ = self._ranges.popitem(last=False)
                self._held -= last - first

    def find(self, file: RemoteFile, start: int, end: int) -> bytes | None:
        """The bytes where they were asked for and not dropped since; waits for those on their way.

        Raises CancelledError where they are not here and the cache is closed, or is while it waits.
        """
        key = (file.url, start, end)
        with self._lock:
            found = self._ranges.get(key)
            if found is not None:
                self._ranges.move_to_end(key)
            elif self._closed:
                raise CancelledError
        return None if found is None else found.result()

    def close(self) -> None:
        """Drop what is not here yet and wait for none of it: who reads must end now."""
        with self._lock:
            self._closed = True
            for key in [key for key, future in self._ranges.items() if not future.done()]:
                self._ranges.pop(key).cancel()
                self._held -= key[2] - key[1]
            old, self._asked = self._asked, SimpleQueue()
            threads, self._threads = self._threads, 0
        while not old.empty():  # also those that were dropped to make room
            with suppress(Empty):
                if waiting := old.get_nowait():
                    waiting[0].cancel()
        for _ in range(threads):
            old.put(None)

    def open(self) -> None:
        """Have it as new, with what is here."""
        self._closed = False


def _read(asked: Asked) -> None:
    """What each thread does until it is told to end."""
    while (wanted := asked.get()) is not None:
        future, file, start, end = wanted
        try:
            data = file.read(end - start, start)
        except BaseException as error:  # of whoever waits for it
            _tell(future, error)
        else:
            _tell(future, data)


def _tell(future: Future[bytes], what: bytes | BaseException) -> None:
    with suppress(InvalidStateError):  # closed in the meantime
        if isinstance(what, BaseException):
            future.set_exception(what)
        else:
            future.set_result(what)
