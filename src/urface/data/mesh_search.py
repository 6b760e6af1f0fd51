"""`urface data landmarks`: the mesh of every image of a data set, by parts that outlive an interruption."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import cv2
import pyarrow as pa
from tqdm import tqdm

from urface.atomic import write_atomic
from urface.data.decode import DecodeError
from urface.data.landmarks import NOTHING, UNDECODABLE, FaceFinder, Found
from urface.data.meshes import read_table, table_of, write_meshes
from urface.data.source import FaceSource
from urface.types import UserError

PART = 250  # images; at some 10 ms each an interruption costs seconds, and the bar moves
MARKER = "source.json"


def find_meshes(
    source: FaceSource, out: str | Path, workers: int = 1, progress: bool = True, part: int = PART
) -> Counter[str]:
    """Write the meshes of all images of ``source`` to ``out``; how many images have each status.

    Parts of ``part`` images are written beside it as they are done, so an interrupted run goes on
    where it stopped and ends with the same file. A finished file of the same images is left as it is.
    Raises UserError where ``out`` is something else or mediapipe is missing.
    """
    file = Path(out)
    if file.suffix.lower() != ".parquet":
        raise UserError(f"{file}: meshes are written as .parquet: give such a name")
    if workers < 1:
        raise UserError(f"--workers must be at least 1, got {workers}")
    if file.exists():
        table = read_table(file)
        if table["path"].to_pylist() != source.keys:
            raise UserError(f"{file} holds the meshes of other images: delete it or name another")
        return Counter(table["status"].to_pylist())
    parts = file.with_name(file.name + ".parts")
    _claim(parts, source, part)
    starts = range(0, len(source), part)
    left = [start for start in starts if not _part(parts, start).is_file()]
    bar = tqdm(
        total=len(source), desc=f"faces of {Path(source.name).name}", unit=" images",
        disable=not progress, initial=len(source) - sum(_count(source, s, part) for s in left),
    )  # fmt: skip
    with bar:
        for start in _run(source, parts, left, part, workers):
            bar.update(_count(source, start, part))
    table = pa.concat_tables([read_table(_part(parts, start)) for start in starts])
    write_meshes(file, table.combine_chunks())
    shutil.rmtree(parts)
    return Counter(table["status"].to_pylist())


def failures(path: str | Path) -> Iterator[tuple[str, str]]:
    """(key, status) of each image in the file ``path`` that cannot be turned."""
    table = read_table(path)
    rows = zip(table["path"].to_pylist(), table["status"].to_pylist(), strict=True)
    return ((key, status) for key, status in rows if status != "ok")


def _count(source: FaceSource, start: int, part: int) -> int:
    return min(part, len(source) - start)


def _part(parts: Path, start: int) -> Path:
    return parts / f"{start:09d}.parquet"


def _claim(parts: Path, source: FaceSource, part: int) -> None:
    """Mark the folder of parts as this data set's, or check that it is."""
    names = hashlib.sha256("\n".join(source.keys).encode()).hexdigest()
    text = json.dumps({"images": len(source), "names": names, "part": part})
    marker = parts / MARKER
    if not marker.is_file():
        write_atomic(marker, text)
    elif marker.read_text() != text:
        raise UserError(f"{parts} holds the parts of another data set: delete it to begin anew")


def _run(
    source: FaceSource, parts: Path, starts: list[int], part: int, workers: int
) -> Iterator[int]:
    """Make the parts at ``starts``, each told when it is written."""
    if workers == 1 or len(starts) < 2:
        finder = FaceFinder() if starts else None
        for start in starts:
            assert finder is not None
            _search(source, finder, parts, start, part)
            yield start
        return
    FaceFinder()  # a missing package is told here rather than from inside a process
    # spawn: a fork would copy the threads' locks that OpenCV and mediapipe hold
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (source, parts, part)) as pool:
        jobs = [pool.submit(_job, start) for start in starts]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BrokenProcessPool:
            raise UserError(
                "a process that looks for meshes was ended, perhaps for want of memory: run it again, with "
                "fewer --workers; what is found is kept"
            ) from None
        finally:
            for job in jobs:
                job.cancel()


_state: tuple[FaceSource, FaceFinder, Path, int] | None = None


def _begin(source: FaceSource, parts: Path, part: int) -> None:
    """What a worker process keeps: sending the names of a large set with every job would be slow."""
    global _state
    cv2.setNumThreads(1)
    _state = (source, FaceFinder(), parts, part)


def _job(start: int) -> int:
    assert _state is not None
    source, finder, parts, part = _state
    _search(source, finder, parts, start, part)
    return start


def _search(source: FaceSource, finder: FaceFinder, parts: Path, start: int, part: int) -> None:
    places = range(start, start + _count(source, start, part))
    found, sizes = [], []
    for place in places:
        try:
            image = source.image(place)
        except DecodeError:
            found.append(Found(UNDECODABLE, None, NOTHING))
            sizes.append((0, 0))
            continue
        found.append(finder.find(image))
        sizes.append((image.shape[1], image.shape[0]))
    keys = [source.keys[place] for place in places]
    write_meshes(_part(parts, start), table_of(keys, found, sizes))
