"""Photos to aligned faces and to an answer: `python bench/photos.py [PHOTOS.tar]`. Needs mediapipe.

Prints processor time a photo for detection and alignment apart, photos a second and core, and the time from
the bytes of one photo to its embedding (the median of all, as a user waits for it). Photos are synthetic
faces of 150 pixels in scenes of 250 x 250, as LFW's are, and a group in 1600 x 1200; with a tar its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from figure import Figure, tell
from urface.data.decode import decode_image, encode_jpeg
from urface.data.synthetic import ShotStyle, render_face

COUNT, TURNS = 12, 3
SIDE = 150
BACKBONES = {"small": (64, 40.0), "iresnet50": (112, 120.0)}  # side of the input, ms: issue 6


def photo(people: list[tuple[int, int, int]], width: int, height: int) -> bytes:
    """A JPEG of synthetic faces, each (number, left, top), before a dull backdrop."""
    coarse = np.random.default_rng(0).integers(60, 190, (5, 7, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    style = ShotStyle(plain=True, frontal=True)
    grid = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    inside = np.hypot(*np.meshgrid(grid, grid)) < 1
    for number, x, y in people:
        face = render_face(11, number, 0, SIDE, style=style).image
        picture[y : y + SIDE, x : x + SIDE][inside] = face[inside]
    return encode_jpeg(picture)


def timed(do: Callable[[], Any], clock: Callable[[], float]) -> float:
    """Milliseconds of one call."""
    start = clock()
    do()
    return 1000 * (clock() - start)


def each(do: Callable[[Any], Any], things: list[Any]) -> tuple[float, tuple[float, float]]:
    """Median processor time in ms over ``things``; the smallest and largest of TURNS such medians."""
    turns = [
        median(timed(lambda thing=thing: do(thing), time.process_time) for thing in things)
        for _ in range(TURNS)
    ]
    return median(turns), (min(turns), max(turns))


def finding(files: list[bytes], group: bytes) -> None:
    from urface.photos import find_faces, open_detector
    from urface.photos.crop import crop_face

    detector = open_detector()
    images = [decode_image(data) for data in files]
    faces = [(image, find_faces(image, detector)) for image in images]
    found = [(image, several[0].face.points) for image, several in faces if several]
    tell(Figure("photos without a face that is found", len(images) - len(found), ""))
    decode, _ = each(decode_image, files)
    detect, spread = each(detector.detect, images)
    crop, _ = each(lambda one: crop_face(*one), found)
    tell(Figure("decode a photo", decode, "ms"))
    tell(Figure("detect its faces and their points", detect, "ms", None, "most", spread))
    tell(Figure("align one", crop, "ms"))
    tell(Figure("photos to aligned faces", 1000 / (decode + detect + crop), "photos/s a core"))
    large = decode_image(group)
    number = len(find_faces(large, detector))
    ms, spread = each(detector.detect, [large] * 3)
    tell(Figure(f"a group of 12 in 1600 x 1200, {number} found", ms, "ms", None, "most", spread))


def answering(files: list[bytes]) -> None:
    """From the bytes of a photo to the embedding of its largest face, as a service does it."""
    import torch

    from urface.config import ModelSettings, ObjectiveSettings
    from urface.embedder import Embedder
    from urface.models.urface import build_urface
    from urface.photos import find_faces, open_detector

    detector = open_detector()
    for backbone, (side, target) in BACKBONES.items():
        settings = ModelSettings(backbone, side, side, sub_embeddings=16)  # type: ignore[arg-type]
        torch.manual_seed(0)
        model = build_urface(settings, ObjectiveSettings("confidence", 2.0))
        noise = np.random.default_rng(0).integers(0, 256, (8, side, side, 3)).astype(np.uint8)
        with torch.no_grad():  # statistics of a batch, so that features keep to a scale
            model.train()(torch.from_numpy(noise))
        embedder = Embedder(model, settings, device="cpu")

        def answer(data: bytes, embedder: Embedder = embedder) -> None:
            embedder.embed([face.image for face in find_faces(decode_image(data), detector)[:1]])

        for data in files:
            answer(data)
        waits = [timed(lambda d=data: answer(d), time.perf_counter) for data in files * TURNS]
        spread = (min(waits), max(waits))
        what = f"one photo to its embedding, {backbone}, p50"
        tell(Figure(what, median(waits), "ms", target, "most", spread))


def of_tar(path: Path) -> list[bytes]:
    from urface.data.tars import photo_tar

    source = photo_tar(path)
    return [source.read(index) for index in range(len(source))]


def main(arguments: list[str]) -> int:
    group = photo([(n, 60 + 380 * (n % 4), 80 + 380 * (n // 4)) for n in range(12)], 1600, 1200)
    if arguments:
        files = of_tar(Path(arguments[0]))
    else:
        files = [photo([(number, 50, 50)], 250, 250) for number in range(COUNT)]
    finding(files, group)
    answering(files)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
