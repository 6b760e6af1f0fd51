"""Where the images of a source lie, asked of its reader through selections and joins.

A reader may have four more methods than reading; one that lacks them has nothing to say.

    blocks()            [N] int64, the block of neighbours in the file that each image belongs to
    where(place)        the file and byte of an image, for a message; its file alone where that is all
    fetch(places, near) ask for images far away before they are read; ``near`` by whole blocks
    waits(allowed)      whether reading may wait for what is far away
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from urface.data.join import JoinedReader
from urface.data.source import SelectedReader

# Images of a block. At 8 KB a face 2 MB: a request that a store answers at nearly its full speed.
BLOCK = 256

Reader = Callable[[int], bytes]
Fetch = Callable[[np.ndarray, bool], None]


def blocks_of(read: Reader, count: int) -> np.ndarray:
    """The number [N] of the block in which each of ``count`` images lies; by places where no reader tells."""
    if isinstance(read, SelectedReader):
        inner = int(read.indices.max()) + 1
        return np.unique(blocks_of(read.read, inner)[read.indices], return_inverse=True)[1]
    if isinstance(read, JoinedReader):
        ends = [*read.starts[1:].tolist(), max(count, int(read.starts[-1]))]
        parts, first = [], 0
        for inner_read, start, end in zip(read.readers, read.starts.tolist(), ends, strict=True):
            blocks = blocks_of(inner_read, end - start)
            parts.append(blocks[: end - start] + first)
            first += int(blocks.max(initial=-1)) + 1
        return np.concatenate(parts)
    told = getattr(read, "blocks", None)
    found: np.ndarray = np.arange(count) // BLOCK if told is None else told()
    return found


def block_numbers(offsets: np.ndarray) -> np.ndarray:
    """The block [N] of each image of a file: ``BLOCK`` images that follow each other in it."""
    numbers = np.empty(len(offsets), np.int64)
    numbers[np.argsort(offsets, kind="stable")] = np.arange(len(offsets)) // BLOCK
    return numbers


def where_of(read: Reader, place: int) -> tuple[str, int | None] | None:
    """The file of an image and its byte there (None: the file is its own); None where it cannot be told."""
    if isinstance(read, SelectedReader):
        return where_of(read.read, int(read.indices[place]))
    if isinstance(read, JoinedReader):
        part, inner = read.part(place)
        return where_of(read.readers[part], inner)
    told = getattr(read, "where", None)
    return None if told is None else told(place)


def fetcher_of(read: Reader) -> Fetch | None:
    """What asks for images ahead, None where all are at hand."""
    if isinstance(read, SelectedReader):
        inner = fetcher_of(read.read)
        if inner is None:
            return None
        indices = read.indices
        return lambda places, near: inner(indices[places], near)
    if isinstance(read, JoinedReader):
        fetchers = [fetcher_of(part) for part in read.readers]
        if not any(fetchers):
            return None
        starts = read.starts

        def fetch(places: np.ndarray, near: bool) -> None:
            parts = np.searchsorted(starts, places, side="right") - 1
            for part in np.unique(parts).tolist():
                mine = fetchers[part]
                if mine is not None:
                    mine(places[parts == part] - int(starts[part]), near)

        return fetch
    found: Fetch | None = getattr(read, "fetch", None)
    return found


def let_wait(read: Reader, allowed: bool) -> None:
    """Whether images far away may be waited for. Where not, what was asked for ahead is dropped.

    Threads that read then get CancelledError, so that none of them holds up the end of a run.
    """
    if isinstance(read, SelectedReader):
        let_wait(read.read, allowed)
    elif isinstance(read, JoinedReader):
        for part in read.readers:
            let_wait(part, allowed)
    elif tell := getattr(read, "waits", None):
        tell(allowed)
