"""Made-up photos and videos of synthetic faces, with where each face is."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from urface.data.synthetic import ShotStyle, render_face
from urface.template import TEMPLATE

STYLE = ShotStyle(plain=True, frontal=True, yaw=0.0, pitch=0.0)


@functools.cache
def face(person: int, size: int = 160) -> np.ndarray:
    """An aligned synthetic face, RGB uint8 [size, size, 3]."""
    image = render_face(11, person, 0, size, style=STYLE).image
    return np.ascontiguousarray(image)


def backdrop(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A smooth pattern of dull colours, RGB uint8 [height, width, 3]."""
    coarse = np.random.default_rng(seed).integers(60, 190, (5, 7, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def scene(
    people: Sequence[tuple[int, float, float, int]], width: int, height: int, seed: int = 0
) -> np.ndarray:
    """A photo with ``people``: number, x and y of the middle of the crop, side of the crop in pixels."""
    photo = backdrop(width, height, seed).astype(np.float32)
    for person, x, y, side in people:
        crop = cv2.resize(face(person), (side, side), interpolation=cv2.INTER_AREA)
        # Round, with a soft edge: a hard square would be the clearest thing in the picture.
        grid = (np.arange(side) + 0.5) / side * 2 - 1
        round_ = np.clip((1.02 - np.hypot(*np.meshgrid(grid, grid))) * 12, 0, 1)[..., None]
        left, top = round(x - side / 2), round(y - side / 2)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
        cut = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        part = photo[y0:y1, x0:x1]
        photo[y0:y1, x0:x1] = part + (crop[cut] - part) * round_[cut]
    return np.ascontiguousarray(photo.round().astype(np.uint8))


def points_of(x: float, y: float, side: int) -> np.ndarray:
    """[5, 2] where the five points of a face of ``scene`` are, its crop being aligned."""
    corner = np.array([round(x - side / 2), round(y - side / 2)])
    points: np.ndarray = corner + (TEMPLATE + 0.5) * side / 112 - 0.5
    return points


def write_video(path: Path, frames: Sequence[np.ndarray], fps: float = 10.0) -> Path:
    height, width = frames[0].shape[:2]
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
    assert out.isOpened()
    for frame in frames:
        out.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    out.release()
    return path
