"""What a detector is, and what it says of a face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face in a photo, in pixels of the photo.

    box     [4] float32: x0, y0, x1, y1; within the photo
    points  [5, 2] float32: eye at the face's image-left and image-right once it stands upright, tip of
            the nose, corners of the mouth left and right: the order of urface.template
    score   0..1, how sure the detector is that it is a face
    """

    box: np.ndarray
    points: np.ndarray
    score: float

    @property
    def size(self) -> float:
        """The side of a square as large as the box, in pixels."""
        return float(np.sqrt(np.prod(self.box[2:] - self.box[:2], dtype=np.float64)))


class Detector(Protocol):
    """Finds the upright faces of a photo. One for each thread or process.

    name    for manifests and messages: what finds the same faces has the same name
    """

    name: str

    def detect(self, photo: np.ndarray) -> list[FoundFace]:
        """The faces of ``photo``, RGB uint8 [H, W, 3] of any size, in any order, each once."""
        ...


def inside(box: np.ndarray, photo: np.ndarray) -> np.ndarray | None:
    """The part of ``box`` [4] that lies in ``photo``, float32; None where none does.

    Sizes are then of what can be seen: a face that the edge cuts is no larger than its part.
    """
    height, width = photo.shape[:2]
    cut = np.clip(box, 0, [width, height, width, height]).astype(np.float32)
    return cut if cut[2] > cut[0] and cut[3] > cut[1] else None


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[N] intersection over union of a box [4] with ``others`` [N, 4]."""
    corner = np.maximum(box[:2], others[:, :2])
    sides = np.clip(np.minimum(box[2:], others[:, 2:]) - corner, 0, None)
    both = sides[:, 0] * sides[:, 1]
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    whole = area + areas - both
    shares: np.ndarray = np.where(whole > 0, both / np.where(whole > 0, whole, 1), 0)
    return shares


def each_once(boxes: np.ndarray, scores: np.ndarray, most: float) -> list[int]:
    """Places of the boxes [N, 4] to keep, surest first: none overlaps a surer one by more than ``most``."""
    kept: list[int] = []
    for place in np.argsort(-scores, kind="stable"):
        if not kept or overlap(boxes[place], boxes[kept]).max() <= most:
            kept.append(int(place))
    return kept


def largest_first(faces: Sequence[FoundFace]) -> list[FoundFace]:
    """By the size of the box; of two alike the surer, then the one further to the left."""
    return sorted(faces, key=lambda face: (-face.size, -face.score, float(face.box[0])))
