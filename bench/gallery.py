"""A gallery's writes, erasures and starts, in processor time where it does not wait for a disk.

    python bench/gallery.py [--count 100000]

Templates of [16, 32] in a gallery of COUNT people with an exact index. A start "after a crash" decrypts every
template and builds the index; one "from the saved index" reads one encrypted file. Enrolment and removal end
with a sync of the disk, so those are wall-clock times and depend on the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np

from figure import Figure, tell
from urface.gallery import Consent, Gallery
from urface.gallery.cache import FILE
from urface.gallery.template import face_bytes
from urface.types import FaceEmbedding

SHAPE = (16, 32)
KEY = bytes(range(32))
TURNS = 50


def faces(count: int, seed: int) -> FaceEmbedding:
    random = np.random.default_rng(seed)
    mean = random.standard_normal((count, *SHAPE), np.float32)
    mean /= np.linalg.norm(mean, axis=2, keepdims=True)
    variance = random.uniform(0.003, 0.03, (count, SHAPE[0])).astype(np.float32)
    return FaceEmbedding(mean, np.full_like(variance, 10.0), variance)


def fill(gallery: Gallery, count: int) -> None:
    """``count`` people in one transaction: enrolling them one by one would sync the disk as often."""
    store = gallery._store
    ends = int((datetime.now(UTC) + timedelta(days=300)).timestamp())
    with store.changing() as change:
        for first in range(0, count, 1000):
            own = store.own(faces(min(1000, count - first), first))
            for i in range(len(own)):
                row = face_bytes(own[i])
                person = store.people.add(f"p{first + i}", ends, {"consents": []})
                images = {store.people.add_image(person, row): row}
                store.people.write(person, images, change.generation)


def took(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


def start(folder: Path, probe: FaceEmbedding) -> float:
    """Processor time from the key to the first answer."""
    begun = time.process_time()
    gallery = Gallery.open(folder, KEY)
    gallery.search(probe, 1)
    spent = time.process_time() - begun
    gallery.close()
    return spent


def measure(count: int, folder: Path) -> list[Figure]:
    with Gallery.create(folder, model="made", shape=SHAPE, key=KEY, index="exact:") as gallery:
        fill(gallery, count)
    probe = faces(1, 1)
    start(folder, probe)  # compiles, and saves the index
    saved = start(folder, probe)
    (folder / FILE).unlink()
    crashed = start(folder, probe)
    consent = Consent("form", "bench", datetime.now(UTC) + timedelta(days=300))
    with Gallery.open(folder, KEY) as gallery:
        gallery.search(probe, 1)
        more = faces(TURNS, 2)
        enrolled = [
            took(lambda i=i: gallery.enrol(f"new {i}", more[i], consent), time.perf_counter)  # type: ignore[misc]
            for i in range(TURNS)
        ]
        found = [took(lambda: gallery.search(probe, 5), time.perf_counter) for _ in range(20)]
        alone = [
            took(lambda: gallery._store.best(probe, 5, "likelihood"), time.perf_counter)
            for _ in range(20)
        ]
        removed = [
            took(lambda i=i: gallery.remove(f"new {i}"), time.perf_counter)  # type: ignore[misc]
            for i in range(TURNS)
        ]
        size = gallery.stats()["bytes"]
    many = f"{count:,} people"
    return [
        Figure(f"gallery of {many}: start after a crash, index rebuilt", crashed, "s", 5.0),
        Figure(f"gallery of {many}: start from the saved index", saved, "s", 5.0),
        Figure(f"gallery of {many}: enrol one image, p50", 1e3 * median(enrolled), "ms"),
        Figure(f"gallery of {many}: erase a person, p50", 1e3 * median(removed), "ms", 1000.0),
        Figure(
            f"gallery of {many}: what the log adds to a search",
            1e3 * (median(found) - median(alone)),
            "ms",
        ),
        Figure(f"gallery of {many}: on the disk, a person of one image", size / count / 1024, "KB"),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for figure in measure(given.count, Path(temporary) / "g"):
            tell(figure)
