"""mediapipe's detectors and mesh as a Detector: where faces may be, then a mesh that confirms each.

The five points are means of mesh points that do not move with the gaze or with one badly placed point:
the eyes between the lids rather than the irises, the nose along its tip, the mouth a quarter of the
way from its corner to the skin beside it. The mesh is asked twice, of the face and of its mirror image: it
is not quite symmetric, and where the two differ much there is no face. docs/photos.md has how far the points
are from published landmarks.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import cv2
import numpy as np

from urface.data.landmarks import GREY, INSTALL, FaceFinder
from urface.photos.found import FoundFace, each_once, inside, overlap
from urface.types import UserError
from urface.variations.head_pose import POINTS

EYES = (
    (159, 145),
    (386, 374),
)  # middles of the upper and the lower lid, at the image's left and right
NOSE = (5, 4, 1, 2)  # ridge, tip, below the tip, base
MOUTH = ((61, 61, 61, 57), (291, 291, 291, 287))  # corner, and the skin beside it
SURE = 0.5  # of the detectors
SHOWN = 512  # pixels of the picture that the detectors see at most; they shrink it to 128 or 192
MESHED = 896  # pixels of the square that the mesh is looked for in at most; it shrinks it to 448
SMALL = 0.2  # of the side of what was looked at: where a face is smaller there may be smaller ones
TILE = 240  # pixels of the side of the smallest tile
STEP = 0.7  # of a tile's side from one tile to the next
AROUND = (
    1.7,
    2.4,
    1.3,
)  # side of the square shown to the mesh, in sides of the box; the next if in vain
SAME = 0.4  # overlap of two boxes of one face
# Of the face's width, that a point may move when the picture is mirrored: on 60 photos 0.03 at most, on
# patterns that were taken for faces 0.4 and more.
AGREE = 0.1
ON_ITS_PLACE = 0.2  # overlap of the mesh with the box that it was looked for in


class MediapipeDetector:
    """Finds upright faces from some 16 pixels on in photos of any size.

    Raises UserError with the line that installs mediapipe where it is missing.
    """

    name = "mediapipe-0.10.21"

    def __init__(self) -> None:
        self._greeted = False
        with quiet():
            self._finder = FaceFinder()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # its dependencies use what is deprecated
                    from mediapipe import solutions
            except ImportError:
                raise UserError(INSTALL) from None
            self._ranges: list[Any] = [
                solutions.face_detection.FaceDetection(
                    model_selection=model, min_detection_confidence=SURE
                )
                for model in (0, 1)  # faces that fill the picture, and small ones
            ]
            blank = np.zeros((64, 64, 3), np.uint8)  # each says something at its first picture
            self._look(blank, 0, 0)
            self._points(blank)

    def detect(self, photo: np.ndarray) -> list[FoundFace]:
        """See Detector. A face that no mesh confirms is none."""
        boxes, scores = self._candidates(photo)
        faces: list[FoundFace] = []
        for place in each_once(boxes, scores, SAME):
            meshed = self._mesh(photo, boxes[place])
            if meshed is None:
                continue
            reach, points = meshed
            box = inside(reach, photo)
            others = np.array([face.box for face in faces])
            if box is not None and (not faces or overlap(box, others).max() <= SAME):
                faces.append(FoundFace(box, points, float(scores[place])))
        return faces

    def _candidates(self, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes [N, 4] and scores [N] in the whole photo, and in tiles of it while those show more."""
        side = float(max(photo.shape[:2]))
        boxes, scores = self._look(photo, 0, 0)
        while side / 2 >= TILE and not (len(boxes) and _sides(boxes).min() >= SMALL * side):
            side /= 2
            parts = [self._look(tile, x, y) for tile, x, y in tiles(photo, round(side))]
            more = np.concatenate([boxes, *(part[0] for part in parts)])
            sure = np.concatenate([scores, *(part[1] for part in parts)])
            kept = each_once(more, sure, SAME)
            grown = len(kept) > len(boxes)
            boxes, scores = more[kept], sure[kept]
            if not grown:
                break
        return boxes, scores

    def _look(self, picture: np.ndarray, x: int, y: int) -> tuple[np.ndarray, np.ndarray]:
        """What the detectors find in a part of the photo that begins at (x, y), in pixels of the photo."""
        side = max(picture.shape[:2])
        shrink = min(1.0, SHOWN / side)
        picture = shrunk(picture, shrink)
        # A square: on the way to the detectors' own square nothing is then cut off or moved.
        whole = round(side * shrink)
        height, width = picture.shape[:2]
        picture = cv2.copyMakeBorder(
            picture, 0, whole - height, 0, whole - width, cv2.BORDER_CONSTANT, value=GREY
        )
        found: list[tuple[float, ...]] = []
        for detector in self._ranges:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # protobuf's, at each call
                answer = detector.process(picture).detections
            for one in answer or []:
                box = one.location_data.relative_bounding_box
                right, bottom = box.xmin + box.width, box.ymin + box.height
                found.append((box.xmin, box.ymin, right, bottom, one.score[0]))
            if found and min(box[2] - box[0] for box in found) >= SMALL:
                break  # large faces: those of long range would be the same
        values = np.array(found, np.float64).reshape(-1, 5)
        return values[:, :4] * side + [x, y, x, y], values[:, 4]

    def _mesh(self, photo: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Box [4] and five points of the face in ``box``, in the photo's pixels; None where there is none."""
        for around in AROUND:
            picture, corner, shrink = square_around(photo, box, around)
            mesh = self._points(picture)
            if mesh is None:
                continue
            ends = np.stack([mesh[:POINTS].min(0), mesh[:POINTS].max(0)])
            reach = in_photo(ends, corner, shrink).ravel()
            if overlap(box, reach[None])[0] < ON_ITS_PLACE:  # its neighbour's
                continue
            points = five_points(mesh)
            mirrored = self._points(np.ascontiguousarray(picture[:, ::-1]))
            if mirrored is None:
                continue
            other = mirror(five_points(mirrored), len(picture))
            if abs(other - points).max() > AGREE * (ends[1, 0] - ends[0, 0]):
                continue  # a pattern, which the mesh takes for another face each time
            points = (points + other) / 2
            return reach, in_photo(points, corner, shrink).astype(np.float32)
        return None

    def _points(self, picture: np.ndarray) -> np.ndarray | None:
        """[478, 2] of the face in a square, in its pixels."""
        with nullcontext() if self._greeted else quiet():  # it speaks again at its first face
            mesh = self._finder.look(picture, 0.0)
        self._greeted = self._greeted or mesh is not None
        # Coordinates of mediapipe count from the edge of the first pixel, ours from its centre.
        return None if mesh is None else mesh[:, :2].astype(np.float64) * len(picture) - 0.5


# stderr is one for all threads: two that turn it away at once would each give back what the other left.
_TURNED_AWAY = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep off stderr what mediapipe's engines report there of themselves, past any setting."""
    with _TURNED_AWAY:
        sys.stderr.flush()
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def five_points(mesh: np.ndarray) -> np.ndarray:
    """[5, 2] of a mesh [478, 2], in the order of the template."""
    return np.stack([mesh[list(group)].mean(0) for group in (*EYES, NOSE, *MOUTH)])


def mirror(points: np.ndarray, width: int) -> np.ndarray:
    """The five points [5, 2] of a picture ``width`` pixels wide, from those of its mirror image."""
    return np.stack([width - 1 - points[:, 0], points[:, 1]], 1)[[1, 0, 2, 4, 3]]


def tiles(photo: np.ndarray, side: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """Squares of ``side`` pixels that overlap and cover the photo, each with its left and upper edge."""
    height, width = photo.shape[:2]
    for y in _starts(height, side):
        for x in _starts(width, side):
            yield photo[y : y + side, x : x + side], x, y


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / (STEP * side)))
    return [round(start) for start in np.linspace(0, length - side, count)]


def square_around(
    photo: np.ndarray, box: np.ndarray, sides: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """The square about the middle of ``box``, ``sides`` times its side: picture, left and upper edge, scale.

    What lies outside the photo is grey. A large one is shrunk to MESHED pixels before grey comes to it: a
    face that fills 40 megapixels would take half a gigabyte.
    """
    side = max(2, round(sides * float(max(box[2:] - box[:2]))))
    corner = np.rint((box[:2] + box[2:]) / 2 - side / 2).astype(int)
    shrink = min(1.0, MESHED / side)
    whole = round(side * shrink)
    edge = [photo.shape[1], photo.shape[0]]
    begin, end = np.clip(corner, 0, edge), np.clip(corner + side, 0, edge)
    if (begin >= end).any():
        return np.full((whole, whole, 3), GREY, np.uint8), corner, shrink
    part = shrunk(photo[begin[1] : end[1], begin[0] : end[0]], shrink)
    left, top = np.rint((begin - corner) * shrink).astype(int)
    right, bottom = whole - left - part.shape[1], whole - top - part.shape[0]
    if min(right, bottom) < 0:  # by rounding
        part = part[: whole - top, : whole - left]
        right, bottom = max(right, 0), max(bottom, 0)
    picture = cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_CONSTANT, value=GREY)
    return picture, corner, shrink


def in_photo(points: np.ndarray, corner: np.ndarray, shrink: float) -> np.ndarray:
    """Points [N, 2] of a square of ``square_around`` in the photo; both count from centres of pixels."""
    back: np.ndarray = (points + 0.5) / shrink - 0.5 + corner
    return back


def shrunk(picture: np.ndarray, scale: float) -> np.ndarray:
    """``picture`` at ``scale``, at most 1, areas averaged."""
    if scale == 1.0:
        return picture
    size = [max(1, round(length * scale)) for length in (picture.shape[1], picture.shape[0])]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _sides(boxes: np.ndarray) -> np.ndarray:
    sides: np.ndarray = (boxes[:, 2:] - boxes[:, :2]).max(1)
    return sides
