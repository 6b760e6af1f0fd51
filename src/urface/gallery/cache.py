"""The search index of a gallery: a cache of the database, never believed where the two differ (G32)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from urface.gallery.people import People
from urface.gallery.template import faces_of
from urface.types import FaceEmbedding, UserError

if TYPE_CHECKING:
    from urface.search import Index

FILE = "search.index"  # urface.search.index_path, whose import needs torch
AT_A_TIME = 4096  # templates decrypted and handed to the index together


class SearchCache:
    """The index that ``url`` names, brought up to the database before every search.

    Callers hold the gallery's lock and a transaction. ``state`` is the database's word for what it holds.
    """

    def __init__(self, url: str, folder: Path, people: People) -> None:
        self._url = url
        self._folder = folder
        self._people = people
        self._index: Index | None = None
        self._generation = -1
        self._state = ""
        self._saved = ""
        self._expires: dict[int, int] = {}
        self._ending: list[tuple[int, int]] = []

    @property
    def engine(self) -> bool:
        """Whether the index keeps its own store, which others may have changed."""
        return self._url.startswith("milvus")

    def up_to(self, generation: int, state: str, now: int) -> Index:
        """The index with everyone of the database whose consent has not ended, and nobody else."""
        if self._index is None:
            self._index = self._opened(state, now)
        elif generation != self._generation:
            self._follow()
        self._generation, self._state = generation, state
        self._drop_expired(now)
        if not self.engine:
            # Not before: an index that still holds the erased must not be kept under the key that lives.
            self._index.key = self._people.keys.index  # type: ignore[attr-defined]
        return self._index

    def __len__(self) -> int:
        return len(self._expires)

    @property
    def opened(self) -> bool:
        """Whether there is an index to keep."""
        return self._index is not None

    def _opened(self, state: str, now: int) -> Index:
        from urface.search import open_index

        key = self._people.keys.index
        if not self.engine:
            try:
                index = open_index(self._url, self._folder, key=key)
                if index.stamp == state and self._fits(index, now):
                    self._saved = state
                    return index
                index.close()
            except (UserError, OSError):  # damaged, or of an older key: it is only a cache
                pass
        index = open_index(self._url, self._folder, key=key, fresh=not self.engine)
        self._expires, self._ending = {}, []
        if self.engine:
            self._reconcile(index)
        else:
            self._take(index, self._people.changed(-1))
        return index

    def _fits(self, index: Index, now: int) -> bool:
        """Whether ``index`` holds all whose consent holds; its file is sealed, so each under its number."""
        self._set_expiries()
        there = set(index.ids().tolist())
        wanted = {number for number, ends in self._expires.items() if ends > now}
        return wanted <= there <= self._expires.keys()

    def _set_expiries(self) -> None:
        self._expires = dict(self._people.database.run("SELECT number, expires FROM person"))
        self._ending = [(ends, number) for number, ends in self._expires.items()]
        heapq.heapify(self._ending)

    def _reconcile(self, index: Index) -> None:
        """Hold every template of an engine against the database."""
        from urface.search import reconcile

        self._set_expiries()
        rows = {number: data for number, _, data in self._people.changed(-1)}

        def fetch(ids: np.ndarray) -> FaceEmbedding:
            return faces_of([rows[number] for number in ids.tolist()], self._people.shape)

        reconcile(index, np.array(sorted(rows), np.int64), fetch)

    def _follow(self) -> None:
        """Take up what was changed since this index was last brought up to date."""
        assert self._index is not None
        gone = self._people.removed(self._generation)
        self._people.forget_names(gone)
        for number in gone:
            self._expires.pop(number, None)
        if gone:
            self._index.remove(np.array(gone, np.int64))
        self._take(self._index, self._people.changed(self._generation))

    def _take(self, index: Index, rows: Iterable[tuple[int, int, bytes]]) -> None:
        stream = iter(rows)
        while part := list(islice(stream, AT_A_TIME)):
            index.add(
                np.array([number for number, _, _ in part], np.int64),
                faces_of([data for _, _, data in part], self._people.shape),
            )
            for number, ends, _ in part:
                self._expires[number] = ends
                heapq.heappush(self._ending, (ends, number))

    def _drop_expired(self, now: int) -> None:
        assert self._index is not None
        over = []
        while self._ending and self._ending[0][0] <= now:
            ends, number = heapq.heappop(self._ending)
            if self._expires.get(number) == ends:  # else it was renewed or removed meanwhile
                over.append((ends, number))
                del self._expires[number]
        if over:
            try:
                self._index.remove(np.array([number for _, number in over], np.int64))
            except BaseException:  # an engine that is away for now is told at the next search
                for ends, number in over:
                    self._expires[number] = ends
                    heapq.heappush(self._ending, (ends, number))
                raise

    def save(self) -> None:
        """Keep the index for the next start, where it is not there already."""
        if self._index is None or self._saved == self._state:
            return
        from urface.search import index_path

        self._index.stamp = self._state
        self._index.save(index_path(self._folder))
        self._saved = self._state

    def erase_file(self) -> None:
        """After an erasure, whose write has replaced the file's key already."""
        self._saved = ""
        (self._folder / FILE).unlink(missing_ok=True)

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
