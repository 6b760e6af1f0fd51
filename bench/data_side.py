"""The data side: faces a second of one core from a container to an augmented batch, without pose.

    python bench/data_side.py [images] [turns]

The same JPEGs (112 x 112, quality 95) as .rec, tar, folder and webdataset shards in a store within this
process; variation augmentation at its default settings, batches of 128 through the training loader. Rates are
per second of processor time, all threads together, medians over turns that take all ways in order; beside
each its share of OpenCV's bare decoding in the same turn, which the load of the machine hardly moves.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import fsspec
import numpy as np

from figure import Figure, tell
from records import pictures
from urface.config import VariationSettings
from urface.data.frames import Frames
from urface.data.loader import batches
from urface.data.open import open_faces
from urface.data.record_write import write_records
from urface.data.sampler import EpochSampler
from urface.data.source import FaceSource
from urface.data.storage import blocks_of
from urface.data.tar_write import Member, TarWriter

TARGET, BATCH, WINDOW, SHARDS = 5_000, 128, 1024, 4


class Rate(NamedTuple):
    """``rate`` in faces a second of one core, ``share`` of bare decoding, ``target`` (0: none)."""

    name: str
    rate: float
    share: float
    target: int


def containers(folder: Path, images: list[bytes]) -> dict[str, FaceSource]:
    """The same images in each container, ten to a person."""
    names = [f"{n // 10:05d}/{n:06d}.jpg" for n in range(len(images))]
    write_records(folder / "train.rec", ((n // 10, image) for n, image in enumerate(images)))
    for name, image in zip(names, images, strict=True):
        path = folder / "faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
    with TarWriter([folder / "faces.tar"], None) as tar:
        tar.next_tar()
        for name, image in zip(names, images, strict=True):
            tar.add(Member(name, image))
    store, size = fsspec.filesystem("memory"), -(-len(images) // SHARDS)
    for shard in range(SHARDS):
        path = folder / f"shard-{shard}.tar"
        with TarWriter([path], None) as tar:
            tar.next_tar()
            for n in range(shard * size, min((shard + 1) * size, len(images))):
                beside = ((f"{n:06d}.cls", str(n // 10).encode()),)
                tar.add(Member(f"{n:06d}.jpg", images[n], beside))
        store.pipe_file(f"/bench/shard-{shard}.tar", path.read_bytes())
    return {
        "rec": open_faces(folder / "train.rec"),
        "tar": open_faces(folder / "faces.tar"),
        "folder": open_faces(folder / "faces"),
        "memory:// shards": open_faces(
            f"memory://bench/shard-{{0..{SHARDS - 1}}}.tar", window=WINDOW
        ),
    }


def epoch(source: FaceSource, size: int, workers: int, window: int) -> Callable[[int], int]:
    """The work of one epoch of batches, and how many faces it was."""
    frames = Frames(source, size, 0.001, 0.0, progress=False)
    blocks = blocks_of(source.read_bytes, len(source)) if window else None
    sampler = EpochSampler(len(source), BATCH, 0, blocks, window)
    steps = sampler.steps_per_epoch
    settings = VariationSettings()

    def work(turn: int) -> int:
        span = range(turn * steps, (turn + 1) * steps)
        made = batches(frames, sampler.draw, span, settings, size, 0, workers=workers)
        return sum(len(batch.labels) for batch in made)

    return work


def measure(count: int = 1024, turns: int = 9) -> list[Rate]:
    """All figures; one thread each for OpenCV and for what the loader itself runs in."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = place
        images = pictures(count)
        arrays = [np.frombuffer(image, np.uint8) for image in images]
        sources = containers(Path(place), images)

        def bare(turn: int) -> int:
            for array in arrays:
                cv2.imdecode(array, cv2.IMREAD_COLOR_RGB)
            return count

        ways: dict[str, tuple[Callable[[int], int], int]] = {"OpenCV's decoding alone": (bare, 0)}
        for size in (112, 64, 48):
            ways[f"rec, batch of {size}"] = (epoch(sources["rec"], size, 0, 0), TARGET)
        for name in ("tar", "folder"):
            ways[f"{name}, batch of 112"] = (epoch(sources[name], 112, 0, 0), TARGET)
        for workers in (0, 1, 2):
            work = epoch(sources["memory:// shards"], 112, workers, WINDOW)
            ways[f"memory:// shards, {workers} workers"] = (work, TARGET)
        for work, _ in ways.values():
            work(0)  # compiles, fills the caches
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(1, turns + 1):
            for name, (work, _) in ways.items():
                start = time.process_time()
                faces = work(turn)
                rates[name].append(faces / (time.process_time() - start))
    base = rates["OpenCV's decoding alone"]
    return [
        Rate(
            name,
            median(rate),
            median(r / b for r, b in zip(rate, base, strict=True)),
            ways[name][1],
        )
        for name, rate in rates.items()
    ]


def main(count: int = 1024, turns: int = 9) -> None:
    for found in measure(count, turns):
        what = f"data side, {found.name} ({found.share:.2f} of bare decoding)"
        tell(Figure(what, found.rate, "faces/s/core", found.target or None, "least"))


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
