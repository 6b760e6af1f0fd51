"""The faces of a test set, embedded once for a model and condition; failures kept in the count."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from urface.data.decode import DecodeError
from urface.data.source import FaceSource, images_digest
from urface.embedder import Embedder
from urface.evaluation.conditions import Condition, condition
from urface.types import FaceEmbedding, load_keys

BATCH = 64


@dataclass(frozen=True, eq=False)
class TestFaces:
    """N images of a test set: ``row`` [N] is each one's place in ``faces``, -1 where it has none.

    failures  key -> reason, for the images that could not be embedded
    """

    __test__ = False  # its name is not a test's

    faces: FaceEmbedding
    row: np.ndarray
    failures: dict[str, str] = field(default_factory=dict)

    def at(self, places: np.ndarray) -> np.ndarray:
        """Rows in ``faces`` of images at ``places``; -1 for a failure or a place of -1."""
        return np.where(places < 0, -1, self.row[places])


class ConditionFrames:
    """Faces of ``source`` in a condition as a network sees them, decoded and changed once for all models.

    What was made is kept while condition and size stay the same and all of it takes no more than
    ``gigabytes``.
    """

    def __init__(self, source: FaceSource, seed: int = 0, gigabytes: float = 2.0) -> None:
        self.source = source
        self._seed = seed
        self._gigabytes = gigabytes
        self._made_for: tuple[str, int, int] | None = None
        self._frames = np.empty((0, 0, 0, 3), np.uint8)
        self._there = np.zeros(len(source), bool)

    def get(self, place: int, put_in: Condition, embedder: Embedder) -> np.ndarray:
        """The frame [S, S, 3] of the image at ``place``. Raises DecodeError."""
        size = embedder.settings.input_size
        made_for = (put_in.key, embedder.settings.frame_size, size)
        keeps = len(self.source) * size * size * 3 <= self._gigabytes * 1e9
        if made_for != self._made_for:
            self._made_for = made_for
            self._there[:] = False
            self._frames = np.empty((len(self.source) if keeps else 0, size, size, 3), np.uint8)
        if self._there[place]:
            return self._frames[place]
        face = put_in.apply(self.source.image(place), self.source.keys[place], self._seed)
        frame = embedder.frame(face)
        if keeps:
            self._frames[place] = frame
            self._there[place] = True
        return frame


def embed_test_set(
    embedder: Embedder,
    source: FaceSource,
    put_in: str | Condition,
    *,
    needed: np.ndarray | None = None,
    seed: int = 0,
    cache: Path | None = None,
    frames: ConditionFrames | None = None,
    progress: bool = True,
) -> TestFaces:
    """Embed the ``needed`` images (all without it) of ``source`` under a condition.

    ``cache`` is a file that is read where it holds just these images, and written otherwise; ``frames``
    of the same source and seed are shared by several models. An image that cannot be decoded is a
    failure to acquire: named, counted, never left out of a denominator.
    """
    put_in = condition(put_in) if isinstance(put_in, str) else put_in
    shared = frames or ConditionFrames(source, seed, gigabytes=0.0)
    places = np.arange(len(source)) if needed is None else np.unique(needed[needed >= 0])
    if cache is not None and cache.is_file():
        faces, keys = FaceEmbedding.load(cache), load_keys(cache) or []
        wanted = [source.keys[place] for place in places]
        if keys == wanted:
            return _placed(source, places, faces, keys, {})
    failures: dict[str, str] = {}
    keys = []

    def image(place: int) -> np.ndarray | str:
        try:
            return shared.get(int(place), put_in, embedder)
        except DecodeError as error:
            return str(error)

    def stream() -> Iterator[list[np.ndarray]]:
        with ThreadPoolExecutor(1) as pool:
            chunks = [places[i : i + BATCH] for i in range(0, len(places), BATCH)]
            ahead = pool.submit(lambda c: [image(p) for p in c], chunks[0]) if chunks else None
            for number, chunk in enumerate(chunks):
                assert ahead is not None
                found = ahead.result()
                if number + 1 < len(chunks):
                    ahead = pool.submit(lambda c: [image(p) for p in c], chunks[number + 1])
                good = []
                for place, face in zip(chunk, found, strict=True):
                    if isinstance(face, str):
                        failures[source.keys[place]] = face
                    else:
                        good.append(face)
                        keys.append(source.keys[place])
                yield good

    faces = embedder.embed_frames(stream(), len(places), progress)
    for reason in failures.values():
        print(f"failed to embed: {reason}", file=sys.stderr)
    if cache is not None and not failures:
        faces.save(cache, keys)
    return _placed(source, places, faces, keys, failures)


def _placed(
    source: FaceSource,
    places: np.ndarray,
    faces: FaceEmbedding,
    keys: list[str],
    failures: dict[str, str],
) -> TestFaces:
    row_of = {key: row for row, key in enumerate(keys)}
    row = np.full(len(source), -1, np.int64)
    for place in places:
        row[place] = row_of.get(source.keys[place], -1)
    return TestFaces(faces, row, failures)


def cache_name(model: Path, source: FaceSource, condition: str, seed: int, stamp: str = "") -> str:
    """A file name that changes with the model's weights, the images (``images_digest``), the condition, its
    ``stamp`` and its seed."""
    data = model.read_bytes()
    # Past the header, which a calibration rewrites: a safetensors file begins with its length.
    digest = hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :])
    digest.update("\0".join([images_digest(source), condition, str(seed)]).encode())
    digest.update(stamp.encode())
    return f"{condition}_{digest.hexdigest()[:16]}.safetensors"
