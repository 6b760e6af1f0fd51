"""A photo to aligned faces: found, the photo turned where it lies on its side, cut out of the full photo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from urface.photos.crop import crop_face
from urface.photos.found import Detector, FoundFace, largest_first
from urface.types import UserError

TURNS = (
    0,
    90,
    270,
    180,
)  # degrees clockwise; people hold cameras sideways more often than upside down
CERTAIN = 0.84  # of 60 photos the surest faces had 0.85 or more upright, 0.83 or less upside down
UPRIGHT = 45.0  # degrees
SMALLEST = 16.0  # pixels: the side of the smallest box that is a face and not a guess


class NoFace(UserError):
    """There is no face in a photo."""


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A face cut out of its photo.

    image     RGB uint8 [112, 112, 3], its five points where urface.template has them; black outside the photo
    face      where it is in the photo, in the photo's own pixels whatever ``rotation`` is
    rotation  degrees clockwise by which the photo had to be turned to stand upright: 0, 90, 180 or 270
    number    1 for the largest face of the photo, 2 for the next
    of        how many faces the photo has
    """

    image: np.ndarray
    face: FoundFace
    rotation: int = 0
    number: int = 1
    of: int = 1


def find_faces(
    photo: np.ndarray, detector: Detector, smallest: float = SMALLEST
) -> list[AlignedFace]:
    """The faces of ``photo`` (RGB uint8 [H, W, 3]), largest first; empty where there is none.

    A photo in which nothing is found, or nothing surely, is turned (see ``detect_turned``). Faces whose box
    is smaller than ``smallest`` pixels are left out.
    """
    return list(_cut_out(photo, detector, smallest))


def aligned_face(photo: np.ndarray, detector: Detector, name: str = "photo") -> AlignedFace:
    """The largest face of ``photo``; ``of`` says how many there are. Raises NoFace, ``name`` first."""
    largest = next(_cut_out(photo, detector, SMALLEST), None)
    if largest is None:
        raise NoFace(f"{name}: no face found in it, also with the photo turned")
    return largest


def _cut_out(photo: np.ndarray, detector: Detector, smallest: float) -> Iterator[AlignedFace]:
    found, turn = detect_turned(photo, detector)
    chosen = [face for face in largest_first(found) if face.size >= smallest]
    for number, face in enumerate(chosen, 1):
        yield AlignedFace(crop_face(photo, face.points), face, turn, number, len(chosen))


def detect_turned(photo: np.ndarray, detector: Detector) -> tuple[list[FoundFace], int]:
    """What ``detector`` finds, in the photo's own pixels, and the turn at which it did (0 for nothing).

    Detectors find a face that lies on its side too, less surely, and place its points badly. So a find
    settles the matter only where its surest face is ``CERTAIN`` and upright; otherwise all four turns are
    tried, and the one whose surest face is upright and has the best score is taken.
    """
    best: tuple[tuple[bool, float], int, list[FoundFace]] | None = None
    for turn in TURNS:
        turned = np.ascontiguousarray(np.rot90(photo, -turn // 90)) if turn else photo
        found = detector.detect(turned)
        if not found:
            continue
        surest = max(found, key=lambda face: face.score)
        rank = (abs(roll_of(surest.points)) <= UPRIGHT, surest.score)
        if best is None or rank > best[0]:
            best = rank, turn, found
        if rank >= (True, CERTAIN):
            break
    if best is None:
        return [], 0
    _, turn, found = best
    return [_turned_back(face, turn, photo.shape) for face in found], turn


def roll_of(points: np.ndarray) -> float:
    """Degrees by which a face is turned clockwise in the picture, told by its five points [5, 2]."""
    across = points[1] - points[0]
    down = points[3:].mean(0) - points[:2].mean(0)
    # Both say it: the line between the eyes of a turned head is short, that to the mouth is not.
    x, y = down / max(np.linalg.norm(down), 1e-6) + np.array([-across[1], across[0]]) / max(
        np.linalg.norm(across), 1e-6
    )
    return float(np.degrees(np.arctan2(-x, y)))


def _turned_back(face: FoundFace, turn: int, shape: tuple[int, ...]) -> FoundFace:
    """A face of the photo turned by ``turn`` degrees clockwise, in pixels of the photo of ``shape``."""
    height, width = shape[:2]
    corners = _points_back(face.box.reshape(2, 2), turn, height, width)
    box = np.concatenate([corners.min(0), corners.max(0)]).astype(np.float32)
    return FoundFace(box, _points_back(face.points, turn, height, width), face.score)


def _points_back(points: np.ndarray, turn: int, height: int, width: int) -> np.ndarray:
    """Points [N, 2] of the turned photo in the photo itself, ``height`` x ``width``."""
    x, y = points[:, 0], points[:, 1]
    if turn == 90:  # (x, y) of the photo goes to (height - 1 - y, x)
        x, y = y, height - 1 - x
    elif turn == 180:
        x, y = width - 1 - x, height - 1 - y
    elif turn == 270:
        x, y = width - 1 - y, x
    return np.stack([x, y], 1).astype(np.float32)
