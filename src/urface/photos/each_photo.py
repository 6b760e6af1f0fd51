"""Many photos, by one process or several: of each what was found in it, in order, failures included."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Literal, NamedTuple

import cv2

from urface.atomic import write_atomic
from urface.data.decode import DecodeError, decode_image, encode_png
from urface.data.source import FaceSource
from urface.photos.crop import crop_face
from urface.photos.faces import SMALLEST, AlignedFace, detect_turned
from urface.photos.found import Detector, largest_first
from urface.photos.open import open_detector
from urface.recognisers.sandbox import die_with_parent
from urface.types import UserError

ALIGNED, NO_FACE, TOO_SMALL, UNDECODABLE = "aligned", "no face", "too small", "undecodable"
OUTCOMES = (ALIGNED, NO_FACE, TOO_SMALL, UNDECODABLE)
AHEAD = 3  # photos for each process that are read before they are asked for
Faces = Literal["largest", "all"]


class Photo(NamedTuple):
    """A photo to look at: its name, its encoded bytes or why they could not be read, and where crops go.

    crops     what the paths of its crops begin with (see ``crop_path``); empty: crops are not written
    numbered  whether the face's number follows
    """

    key: str
    data: bytes | str
    crops: str = ""
    numbered: bool = True


@dataclass(frozen=True, eq=False)
class Seen:
    """What was found in a photo.

    outcome   one of OUTCOMES
    reason    in words where there is no face
    size      width and height of the photo, (0, 0) where it is undecodable
    faces     the aligned ones, largest first; all, or the largest alone
    small     how many faces were too small to align
    """

    key: str
    outcome: str
    reason: str = ""
    size: tuple[int, int] = (0, 0)
    faces: list[AlignedFace] = field(default_factory=list)
    small: int = 0


def crop_path(begin: str, number: int, numbered: bool = True) -> str:
    """The path of the crop of a photo's face ``number``."""
    return f"{begin}-{number}.png" if numbered else f"{begin}.png"


def look(photo: Photo, detector: Detector, which: Faces, smallest: float = SMALLEST) -> Seen:
    """Decode, detect, align and, where ``photo`` says where, write the crops of one photo."""
    if isinstance(photo.data, str):
        return Seen(photo.key, UNDECODABLE, photo.data)
    try:
        image = decode_image(photo.data, name=photo.key)
    except DecodeError as error:
        return Seen(photo.key, UNDECODABLE, str(error).removeprefix(f"{photo.key}: "))
    size = (image.shape[1], image.shape[0])
    found, turn = detect_turned(image, detector)
    large = [face for face in largest_first(found) if face.size >= smallest]
    small = len(found) - len(large)
    if not large:
        outcome = TOO_SMALL if found else NO_FACE
        reason = (
            f"the largest of {small} faces measures {max(face.size for face in found):.0f} pixels, less "
            f"than {smallest:g}"
            if found
            else "nothing found, also with the photo turned"
        )
        return Seen(photo.key, outcome, reason, size, small=small)
    faces = []
    for number, face in enumerate(large[:1] if which == "largest" else large, 1):
        crop = crop_face(image, face.points)
        if photo.crops:
            write_atomic(crop_path(photo.crops, number, photo.numbered), encode_png(crop))
        faces.append(AlignedFace(crop, face, turn, number, len(large)))
    return Seen(photo.key, ALIGNED, "", size, faces, small)


def look_at_all(
    photos: Iterable[Photo],
    detector: str,
    which: Faces = "largest",
    jobs: int = 1,
    opened: Detector | None = None,
) -> Iterator[Seen]:
    """What was found in each of ``photos``, in their order; the next ones are read ahead.

    detector  as ``open_detector`` takes it: each process opens its own
    jobs      processes; 1: a thread of this one
    opened    the same detector, where it is open already

    Raises UserError where the detector cannot be opened, or a process ends before its time.
    """
    if jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {jobs}")
    # What is missing is told here and not from inside a process.
    opened = opened or open_detector(detector)
    pool: Executor
    if jobs == 1:
        pool = ThreadPoolExecutor(1)
        task = partial(look, detector=opened, which=which)
    else:
        # spawn: a fork would copy the threads' locks that OpenCV and mediapipe hold
        pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (detector, os.getpid()))
        task = partial(_look_here, which=which)
    with pool:
        waiting: deque[Future[Seen]] = deque()
        try:
            for photo in photos:
                waiting.append(pool.submit(task, photo))
                if len(waiting) >= AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "a process that looks for faces was ended, perhaps for want of memory: run it again, "
                "with fewer --jobs"
            ) from None
        finally:
            for job in waiting:
                job.cancel()


def photos_of(sources: Iterable[tuple[str, FaceSource]]) -> Iterator[Photo]:
    """The photos of ``sources`` in order, each with what its keys begin with."""
    for prefix, source in sources:
        for index in range(len(source)):
            yield read_photo(prefix, source, index)


def read_photo(
    prefix: str, source: FaceSource, index: int, crops: str = "", numbered: bool = True
) -> Photo:
    """One photo of a source; where it cannot be read the reason stands in place of its bytes."""
    key = source.keys[index]
    try:
        data: bytes | str = source.read(index)
    except DecodeError as error:
        data = str(error).removeprefix(f"{key}: ")
    return Photo(prefix + key, data, crops, numbered)


_detector: Detector | None = None


def _begin(detector: str, parent: int) -> None:
    """What a process keeps."""
    global _detector
    die_with_parent(parent)  # which a SIGKILL does not let tell us
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many processes as cores, each on its own
    cv2.setNumThreads(1)
    _detector = open_detector(detector)


def _look_here(photo: Photo, which: Faces) -> Seen:
    assert _detector is not None
    return look(photo, _detector, which)
