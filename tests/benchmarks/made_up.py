"""A recogniser that computes a feature from pixels, and benchmarks of noise for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from urface.benchmarks.benchmark import Benchmark, ImageSet, PairTask, SearchTask, Templates
from urface.data.decode import DecodeError
from urface.recognisers.recogniser import Features, Preprocessing

SIDE = 4


class Fake:
    """Features are a fixed random projection of the pixels; ``seen`` counts the images it was given."""

    def __init__(
        self, parts: int = 1, dim: int = 8, variance: bool = False, digest: str = "d" * 64
    ) -> None:
        self.name, self.digest = "fake", digest
        self.preprocessing: Preprocessing | None = Preprocessing(SIDE)
        self.parts, self.has_variance = parts, variance
        self.seen = 0
        self.dies_at: int | None = None
        self.weights = np.random.default_rng(3).normal(size=(SIDE * SIDE * 3, parts * dim))

    @property
    def needs_images(self) -> bool:
        return True

    def features(self, images: Sequence[np.ndarray], keys: Sequence[str]) -> Features:
        assert len(images) == len(keys)
        self.seen += len(images)
        if self.dies_at is not None and self.seen > self.dies_at:
            raise KeyboardInterrupt
        pixels = np.stack(images).reshape(len(images), -1).astype(np.float64)
        vectors = ((pixels - 127.5) / 127.5 @ self.weights).astype(np.float32)
        spread = None
        if self.has_variance:
            spread = 0.01 + np.abs(vectors.reshape(len(images), self.parts, -1)).mean(2) / 100
        return Features(vectors, self.parts, None if spread is None else 1 / spread, spread)


class OnDisk:
    """Features by key, as a features file gives them."""

    def __init__(
        self,
        keys: list[str],
        vectors: np.ndarray,
        parts: int = 1,
        variance: np.ndarray | None = None,
    ) -> None:
        self.name, self.digest, self.preprocessing = "on disk", "e" * 64, None
        self.parts, self.has_variance = parts, variance is not None
        self.place = {key: place for place, key in enumerate(keys)}
        self.vectors, self.variance = vectors, variance

    @property
    def needs_images(self) -> bool:
        return False

    def features(self, images: Sequence[np.ndarray], keys: Sequence[str]) -> Features:
        at = np.array([self.place.get(key, -1) for key in keys])
        vectors = self.vectors[at]
        vectors[at < 0] = np.nan
        variance = None if self.variance is None else self.variance[at]
        return Features(vectors, self.parts, None, variance)


def faces(count: int, seed: int = 0) -> np.ndarray:
    """[count, SIDE, SIDE, 3] uint8 of noise."""
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


def image_set(
    pixels: np.ndarray, damaged: Sequence[int] = (), quality: np.ndarray | None = None
) -> ImageSet:
    """Images called 0.jpg and on, those ``damaged`` unreadable."""

    def read(place: int) -> np.ndarray:
        if place in damaged:
            raise DecodeError(f"{place}.jpg: truncated")
        return pixels[place]

    return ImageSet([f"{place}.jpg" for place in range(len(pixels))], read, quality)


def benchmark(
    count: int = 40,
    people: int = 8,
    damaged: Sequence[int] = (),
    pairs: tuple[PairTask, ...] = (),
    searches: tuple[SearchTask, ...] = (),
    templates: Templates | None = None,
    seed: int = 0,
    name: str = "made",
) -> Benchmark:
    """``count`` images of ``people`` in turn, each a template unless ``templates`` are given."""
    images = image_set(faces(count, seed), damaged)
    subjects = np.arange(count) % people
    made = templates or Templates.of_images(images.keys, subjects)
    return Benchmark(name, "made 1", images, made, pairs, searches).check()


def all_pairs(
    subjects: np.ndarray, measures: tuple[str, ...], name: str = "all", group: str = ""
) -> PairTask:
    """Every pair of templates, in 5 folds in turn."""
    left, right = np.triu_indices(len(subjects), 1)
    same = subjects[left] == subjects[right]
    return PairTask(name, left, right, same, np.arange(len(left)) % 5, measures, group)
