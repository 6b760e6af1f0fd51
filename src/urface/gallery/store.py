"""The state behind a gallery's door: lock, transactions, keys, log and index, and how they go together."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from urface.gallery.audit import Audit
from urface.gallery.cache import SearchCache
from urface.gallery.database import Database
from urface.gallery.header import open_files, read_header
from urface.gallery.keys import GalleryKeys, new_key
from urface.gallery.people import People
from urface.gallery.rotation import rotated, rotations
from urface.types import FaceEmbedding, UserError

if TYPE_CHECKING:
    from urface.search import Index

Clock = Callable[[], datetime]
Method = str


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Change:
    """A write under way. generation  its number; erases  whether it takes something away; keys, master  what
    rows and keys are sealed with after it, where that changes."""

    generation: int
    erases: bool = False
    keys: GalleryKeys | None = None
    master: bytes | None = None
    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def line(self, act: str, **details: Any) -> None:
        """For the audit log, once the write is done."""
        self.lines.append((act, details))


class Store:
    """One connection, used by one thread at a time; other processes may have their own."""

    def __init__(self, folder: Path, master: bytes, clock: Clock) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.master = master
        self.clock = clock
        self.database: Database
        self.database, self.facts, keys = open_files(folder, master)
        self.shape = (self.facts.K, self.facts.D)
        self.people = People(self.database, keys, self.shape)
        self.matrix = rotations(keys.rotation, self.shape)
        self.audit = Audit(self.database, folder, keys.audit)
        self.cache = SearchCache(self.facts.index, folder, self.people)
        self._sealed = self.database.meta("keys")

    def seconds(self) -> int:
        """Now, since 1970."""
        return int(self.clock().timestamp())

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """All in the block and its lines in the log are on the disk at its end, or nothing is."""
        with self.lock:
            with self.database.write():
                self._follow_keys()
                change = Change(int(self.database.meta("generation") or 0) + 1)
                yield change
                if change.erases:
                    keys = change.keys or dataclasses.replace(self.people.keys, index=new_key())
                    sealed = keys.sealed(change.master or self.master, self.facts.to_bytes())
                    self.database.set_meta("keys", sealed)
                for act, details in change.lines:
                    self.audit.add(act, self.clock(), **details)
                self.database.set_meta("generation", str(change.generation).encode())
                self.database.set_meta("state", os.urandom(16))
            self.master = change.master or self.master
            self._follow_keys()
            # The write is done: a head or a file left behind is no reason to call it failed. The head is
            # behind by a line then, and the file cannot be read by any key that is left.
            with contextlib.suppress(OSError):
                self.audit.note_head()
            if change.erases:
                self._erase_from_index()

    def _erase_from_index(self) -> None:
        with contextlib.suppress(OSError):
            self.cache.erase_file()
        if self.cache.engine:  # which holds vectors in files of its own
            try:
                with self.reading():
                    self.index()
            except (UserError, OSError) as error:
                raise UserError(
                    f"erased, but {self.facts.index} could not be told ({error}): its vectors go with the "
                    "next search or removal that reaches it"
                ) from None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All in the block sees one state of the database."""
        with self.lock, self.database.read():
            self._follow_keys()
            yield

    def log(self, act: str, **details: Any) -> None:
        """A line of an act that changed nothing."""
        with self.lock:
            with self.database.write():
                self.audit.add(act, self.clock(), **details)
            with contextlib.suppress(OSError):
                self.audit.note_head(sync=False)

    def _follow_keys(self) -> None:
        """Take up keys that this or another process has replaced."""
        sealed = self.database.meta("keys")
        if sealed == self._sealed:
            return
        _, keys = read_header(self.database, self.master)
        if keys.rotation != self.people.keys.rotation:
            self.matrix = rotations(keys.rotation, self.shape)
        self.people.keys, self._sealed = keys, sealed

    def own(self, faces: FaceEmbedding) -> FaceEmbedding:
        """``faces`` as this gallery keeps them: checked, in float32, rotated."""
        if not isinstance(faces, FaceEmbedding):
            raise UserError(f"a gallery takes a FaceEmbedding, got {type(faces).__name__}")
        if faces.mean.shape[1:] != self.shape:
            raise UserError(
                f"faces of the shape {list(faces.mean.shape[1:])} [K, D], but this gallery holds "
                f"{list(self.shape)}: they are another model's"
            )
        if faces.variance.ndim != 2:
            raise UserError(
                "a gallery keeps one variance a sub-embedding, not one a dimension: build a FaceEmbedding "
                "with faces.sub_variance"
            )
        arrays = faces.numpy()
        parts = (arrays.mean, arrays.confidence, arrays.variance)
        # Built anew, since arrays can change after they were checked, and float32 overflows.
        with np.errstate(over="ignore"):
            checked = FaceEmbedding(*(np.asarray(part, np.float32) for part in parts))
        return rotated(checked, self.matrix)

    def index(self) -> Index:
        """The index as of the state that is being read, opened or built if need be."""
        generation = int(self.database.meta("generation") or 0)
        state = (self.database.meta("state") or b"").hex()
        return self.cache.up_to(generation, state, self.seconds())

    def best(
        self, faces: FaceEmbedding, k: int, method: Method
    ) -> tuple[FaceEmbedding, list[list[tuple[int, str, float]]]]:
        """``own(faces)`` and number, name and score of the ``k`` most alike people of each."""
        with self.reading():
            own = self.own(faces)
            index = self.index()
            ids, scores = index.search(own, k, method)  # type: ignore[arg-type]
            return own, [
                [
                    (number, name, score)
                    for number, score in zip(row_ids, row_scores, strict=True)
                    if number >= 0 and (name := self.people.name(number)) is not None
                ]
                for row_ids, row_scores in zip(ids.tolist(), scores.tolist(), strict=True)
            ]

    def close(self) -> None:
        """Keep the index for the next start where it was used, and let go of the files."""
        with self.lock:
            try:
                if self.cache.opened and not self.cache.engine:
                    with self.reading():
                        self.index()  # what was erased since the last search must not be kept
                    self.cache.save()
            finally:
                self.cache.close()
                self.database.close()
