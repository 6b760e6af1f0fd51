"""A benchmark's images to features by any recogniser: decoded ahead, cached, resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from urface.benchmarks.benchmark import Benchmark, ImageSet
from urface.benchmarks.embedded import Block, Embedded
from urface.benchmarks.feature_cache import (
    SHARD,
    Facts,
    FeatureCache,
    Shard,
    cache_key,
    keys_digest,
    pixels_digest,
    stamps_of,
)
from urface.data.decode import DecodeError
from urface.recognisers.recogniser import Features, Flip, Recogniser
from urface.recognisers.usable import NO_DIRECTION, NO_VARIANCE, NOT_FINITE, unusable
from urface.types import UserError

BATCH = 64
PIXELS = "the names of the images and the pixels of each as it was embedded"
NAMES = "the names of the images; their features come from the model's file"

NOT_ON_DISK = "no finite feature of it is on disk"
OF_THE_MODEL = (NOT_FINITE, NO_DIRECTION, NO_VARIANCE)  # the image itself was read

Seen = np.ndarray | str  # an image, or why there is none


def embed_images(
    benchmark: Benchmark,
    recogniser: Recogniser,
    *,
    flip: Flip = "none",
    cache: Path | None = None,
    batch_size: int = BATCH,
    progress: bool = True,
) -> Embedded:
    """Features of all images of ``benchmark``.

    flip        sum: features(image) + features(mirrored image), neither normalised, as the field does;
                confidence and variance are the means of the two, since a face and its mirror err alike
    cache       a folder; shards of SHARD images are written to it, and read by a later run of the same
                key (``cache_key``). An image that failed, or whose stamp changed, is read anew: where its
                pixels are others now, or there are none, its shard is made anew
    batch_size  images that pass through the network at a time

    An image that cannot be read, a key that features on disk lack, and a feature that cannot be compared
    (recognisers/usable.py) are failures by place and reason. Raises UserError where mirrored images are
    asked of features on disk, and as the recogniser does.
    """
    images = benchmark.images
    if not recogniser.needs_images:
        return _from_disk(benchmark, recogniser, flip)
    store = None
    if cache is not None:
        about = {"model": recogniser.name, "benchmark": benchmark.name, "flip": flip}
        store = FeatureCache(cache, cache_key(recogniser, images, flip), len(images), about)
    numbers = range(-(-len(images) // SHARD))
    kept: dict[int, Shard] = {}  # without a cache all shards stay in memory
    digest = hashlib.sha256(keys_digest(images.keys).encode())
    failures: dict[int, str] = {}
    bar = tqdm(
        total=len(images),
        desc=f"{benchmark.name}: embedding",
        unit=" faces",
        disable=not progress,
        leave=False,
        delay=2,
    )
    with bar, ThreadPoolExecutor(1) as ahead:
        for number in numbers:
            known: Facts | Shard | None = _still_true(store, number, images) if store else None
            if known is None:
                known = shard = _embed_shard(
                    images, number, recogniser, flip, batch_size, ahead, bar
                )
                if store:
                    store.save(number, shard)
                else:
                    kept[number] = shard
            else:
                bar.update(len(known))
            digest.update(known.seen.tobytes())
            failures |= {number * SHARD + row: why for row, why in known.failures.items()}
    ok = np.ones(len(images), bool)
    ok[list(failures)] = False

    def blocks() -> Iterator[Block]:
        for number in numbers:
            shard = store.load(number) if store else kept[number]
            if shard is None:
                raise UserError(
                    f"{store.path(number) if store else number}: lost while it was used"
                )
            yield Block(number * SHARD, shard.features)

    return Embedded(ok, failures, recogniser.parts, blocks, digest.hexdigest(), PIXELS)


def _still_true(store: FeatureCache, number: int, images: ImageSet) -> Facts | None:
    """What is on disk, unless it is missing or the pixels of an image are others now.

    Read anew are images whose stamp changed and those that failed. A file that was only copied or touched
    costs that once: its new stamp is written down.
    """
    facts = store.facts(number)
    if facts is None:
        return None
    first = number * SHARD
    stamps = stamps_of(images, range(first, first + len(facts)))
    doubtful = (stamps != facts.stamps).any(1)
    unread = [row for row, why in facts.failures.items() if not why.endswith(OF_THE_MODEL)]
    for row in np.union1d(np.flatnonzero(doubtful), np.array(unread, np.int64)).tolist():
        if not np.array_equal(_pixels_seen(_read(images, first + row)), facts.seen[row]):
            return None
    if doubtful.any():
        shard = store.load(number)
        if shard is None:
            return None
        store.save(number, replace(shard, stamps=stamps))
    return facts


def _pixels_seen(image: Seen) -> np.ndarray:
    """[32] uint8: the hash of the pixels, zeros for a failure."""
    digest = bytes(32) if isinstance(image, str) else pixels_digest(image)
    return np.frombuffer(digest, np.uint8)


def _embed_shard(
    images: ImageSet,
    number: int,
    recogniser: Recogniser,
    flip: Flip,
    batch_size: int,
    ahead: ThreadPoolExecutor,
    bar: tqdm,
) -> Shard:
    first, last = number * SHARD, min((number + 1) * SHARD, len(images))
    # Before any is read: of a file that changes meanwhile the new state is noticed by the next run.
    stamps = stamps_of(images, range(first, last))
    seen = np.zeros((last - first, 32), np.uint8)
    failures: dict[int, str] = {}
    rows: list[int] = []
    parts: list[Features] = []
    batches = [range(i, min(i + batch_size, last)) for i in range(first, last, batch_size)]
    waiting = ahead.submit(_read_all, images, batches[0])
    for place, batch in enumerate(batches):
        found = waiting.result()
        if place + 1 < len(batches):
            waiting = ahead.submit(_read_all, images, batches[place + 1])
        good = []
        for index, image in zip(batch, found, strict=True):
            seen[index - first] = _pixels_seen(image)
            if isinstance(image, str):
                failures[index - first] = image
            else:
                good.append((index, image))
        if good:
            parts.append(_features(recogniser, images, good, flip))
            rows += [index - first for index, _ in good]
        bar.update(len(batch))
    features = _spread(parts, np.array(rows, np.int64), last - first, recogniser)
    for row, reason in unusable(features).items():
        failures.setdefault(row, f"{images.keys[first + row]}: {reason}")
    emptied = _emptied(features, list(failures))
    return Shard(emptied, seen, stamps, dict(sorted(failures.items())))


def _read_all(images: ImageSet, places: range) -> list[Seen]:
    return [_read(images, place) for place in places]


def _read(images: ImageSet, place: int) -> Seen:
    try:
        return images.read(place)
    except DecodeError as error:
        return str(error)


def _features(
    recogniser: Recogniser, images: ImageSet, good: Sequence[tuple[int, np.ndarray]], flip: Flip
) -> Features:
    keys = [images.keys[index] for index, _ in good]
    faces = [image for _, image in good]
    found = recogniser.features(faces, keys)
    if flip == "none":
        return found
    mirrored = recogniser.features([np.ascontiguousarray(face[:, ::-1]) for face in faces], keys)
    return Features(
        found.vectors + mirrored.vectors,
        found.parts,
        _middle(found.confidence, mirrored.confidence),
        _middle(found.variance, mirrored.variance),
    )


def _middle(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    return None if a is None or b is None else (a + b) / 2


def _spread(parts: list[Features], rows: np.ndarray, count: int, model: Recogniser) -> Features:
    """The features of those that succeeded, at their rows of ``count``; zeros elsewhere."""

    def column(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        if not values or values[0] is None:
            return None
        joined = np.concatenate(values)
        out = np.zeros((count, *joined.shape[1:]), np.float32)
        out[rows] = joined
        return out

    vectors = column("vectors")
    if vectors is None:  # a shard of failures alone does not know the width: one that fits any
        vectors = np.zeros((count, model.parts), np.float32)
    return Features(vectors, model.parts, column("confidence"), column("variance"))


def _emptied(features: Features, rows: list[int]) -> Features:
    """The features with zeros in ``rows``, which failed; written in place."""
    for values in (features.vectors, features.confidence, features.variance):
        if values is not None:
            values[rows] = 0
    return features


def _from_disk(benchmark: Benchmark, recogniser: Recogniser, flip: Flip) -> Embedded:
    """Features by key: they are on disk already, so they are read when wanted and not cached."""
    if flip != "none":
        raise UserError(
            f"{recogniser.name}: features on disk cannot be mirrored: leave out --flip, or write the "
            "sum of both into the file"
        )
    keys = benchmark.images.keys

    def shards() -> Iterator[tuple[int, Features, dict[int, str]]]:
        for first in range(0, len(keys), SHARD):
            features = recogniser.features([], keys[first : first + SHARD])
            yield first, features, unusable(features)

    def blocks() -> Iterator[Block]:
        for first, features, failed in shards():
            yield Block(first, _emptied(features, list(failed)))

    failures = {
        first + row: f"{keys[first + row]}: {NOT_ON_DISK if reason == NOT_FINITE else reason}"
        for first, _, failed in shards()
        for row, reason in failed.items()
    }
    ok = np.ones(len(keys), bool)
    ok[list(failures)] = False
    if not ok.any():
        example = getattr(recogniser, "example_key", "")
        known = f"; its keys look like {example}" if example else ""
        raise UserError(
            f"{recogniser.name}: has no usable feature of any of the {len(keys):,} images of "
            f"{benchmark.name}, which are called like {keys[0]}{known}"
        )
    return Embedded(ok, failures, recogniser.parts, blocks, keys_digest(keys), NAMES)
