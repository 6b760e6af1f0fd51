"""One part: its images through the network, and the bytes of its file."""

from __future__ import annotations

import hashlib
import re
from itertools import islice
from typing import NamedTuple

import numpy as np

from urface.corpus.part_file import Rows, encode
from urface.corpus.plan import Part, Recipe
from urface.corpus.store import Store
from urface.data.decode import DecodeError
from urface.data.source import FaceSource
from urface.embedder import Embedder
from urface.types import FaceEmbedding, UserError

NAME = re.compile(r"part-(\d{6,})-([0-9a-f]{32})\.(parquet|tar)")
NOT_FINITE = "the network gives no finite embedding of it"


class Done(NamedTuple):
    """A part that is on the store: its file, its rows, and the keys of those that failed with the reason."""

    number: int
    name: str
    rows: int
    failures: dict[str, str]


def frame_of(embedder: Embedder, prefix: str, source: FaceSource, index: int) -> np.ndarray | str:
    """An image as the network sees it, or why it cannot be decoded, its key first."""
    try:
        return embedder.frame(source.image(index))
    except DecodeError as error:
        return prefix + str(error)


def write_part(part: Part, plan: str, recipe: Recipe, embedder: Embedder, store: Store) -> Done:
    """Embed ``part`` and put its file on the store, named by its number and the hash of its bytes.

    The name says which bytes: a worker that was thought dead and writes late cannot change a part that
    was counted, and a reader can tell a damaged one.
    """
    rows = embed_part(part, embedder, recipe.batch_size)
    data = encode(rows, recipe.format, {"plan": plan, "part": part.number})
    name = part_name(part.number, data, recipe.format)
    store.write(name, data)
    return Done(part.number, name, len(rows.keys), rows.failures)


def part_name(number: int, data: bytes, ending: str) -> str:
    return f"part-{number:06d}-{hashlib.sha256(data).hexdigest()[:32]}.{ending}"


def embed_part(part: Part, embedder: Embedder, batch_size: int) -> Rows:
    """A row for every image of ``part`` in order; NaN, and the reason, for one that failed.

    The images of a batch are neighbours of one part, so that the rows do not depend on who computes them.
    """
    keys: list[str] = []
    failures: dict[str, str] = {}
    found: list[tuple[list[int], FaceEmbedding]] = []
    places = part.places()
    while batch := list(islice(places, batch_size)):
        frames, rows = [], []
        for prefix, source, index in batch:
            frame = frame_of(embedder, prefix, source, index)
            if isinstance(frame, str):
                failures[prefix + source.keys[index]] = frame
            else:
                frames.append(frame)
                rows.append(len(keys))
            keys.append(prefix + source.keys[index])
        for group, embedding in _forward(embedder, frames, rows):
            found.append((group, embedding))
    embedded = {row for group, _ in found for row in group}
    for row, key in enumerate(keys):
        if row not in embedded:
            failures.setdefault(key, f"{key}: {NOT_FINITE}")
    empty = embedder.embed_frames(iter(()), 0)

    def column(name: str) -> np.ndarray:
        inner = getattr(found[0][1] if found else empty, name).shape[1:]
        values = np.full((len(keys), *inner), np.nan, np.float32)
        for group, embedding in found:
            values[group] = getattr(embedding, name)
        return values

    return Rows(keys, column("mean"), column("confidence"), column("variance"), failures)


def _forward(
    embedder: Embedder, frames: list[np.ndarray], rows: list[int]
) -> list[tuple[list[int], FaceEmbedding]]:
    """The embeddings of a batch; image by image where one of it has none that is finite."""
    if not frames:
        return []
    try:
        return [(rows, embedder.embed_frames(iter([frames]), len(frames)))]
    except UserError:
        if len(frames) == 1:
            return []
    singly = zip(frames, rows, strict=True)
    return [pair for frame, row in singly for pair in _forward(embedder, [frame], [row])]
