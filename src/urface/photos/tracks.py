"""Faces followed from frame to frame: by where they are, and by the likelihood that they are the same."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from urface.photos.found import overlap
from urface.scoring import fuse, score_matrix
from urface.types import FaceEmbedding

FAR = 1e6  # the cost of a pair that cannot be


@dataclass(frozen=True)
class TrackRules:
    """gap     seconds that a face may be out of sight and still be followed
    reach   how far it may be from where it is awaited, in sides of its box
    grow    by what factor its box may have grown or shrunk
    recent  sightings that say what a track's face looks like
    """

    gap: float = 1.0
    reach: float = 1.5
    grow: float = 2.0
    recent: int = 5


@dataclass
class Track:
    """A face as it was seen: its number, and of each sighting the time, the box [4] and the row it has in
    the video's embeddings."""

    number: int
    seconds: list[float] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    faces: list[FaceEmbedding] = field(default_factory=list)

    def awaited(self, seconds: float) -> np.ndarray:
        """[4] where the box is at ``seconds`` if it moves on as it did last."""
        if len(self.boxes) < 2:
            return self.boxes[-1]
        between = max(self.seconds[-1] - self.seconds[-2], 1e-6)
        way = (_middle(self.boxes[-1]) - _middle(self.boxes[-2])) / between
        shift = way * (seconds - self.seconds[-1])
        return self.boxes[-1] + np.concatenate([shift, shift])


class Tracker:
    """Gives every face of every frame the number of a track, from 1.

    A face can only go on with a track that is near: what it looks like never takes it across the picture.
    Of several that are near, place and looks decide together: to the overlap's logarithm comes the
    logarithm of the share that a track has in the likelihood of the face among all near it. A blurred
    face, whose variance is large, has like likelihoods under all, and its place decides.
    """

    def __init__(self, rules: TrackRules | None = None) -> None:
        self._rules = rules or TrackRules()
        self._open: list[Track] = []
        self._count = 0

    def follow(
        self, seconds: float, boxes: np.ndarray, faces: FaceEmbedding, cut: bool = False
    ) -> list[int]:
        """The track of each of the N faces of a frame, ``boxes`` [N, 4]; after a ``cut`` all are new."""
        last = [] if cut else self._open
        self._open = [t for t in last if seconds - t.seconds[-1] <= self._rules.gap]
        given: list[Track | None] = [None] * len(boxes)
        if self._open and len(boxes):
            cost = self._cost(seconds, boxes, faces)
            for row, column in zip(*linear_sum_assignment(cost), strict=True):
                if cost[row, column] < FAR:
                    given[column] = self._open[row]
        numbers = []
        for place, known in enumerate(given):
            track = known or self._begin()
            track.seconds.append(seconds)
            track.boxes.append(boxes[place].astype(np.float64))
            track.faces = [*track.faces, faces[place]][-self._rules.recent :]
            numbers.append(track.number)
        return numbers

    def _begin(self) -> Track:
        self._count += 1
        track = Track(self._count)
        self._open.append(track)
        return track

    def _cost(self, seconds: float, boxes: np.ndarray, faces: FaceEmbedding) -> np.ndarray:
        """[T, N] of each track and face; FAR where they are not near each other."""
        awaited = np.stack([track.awaited(seconds) for track in self._open])
        near = np.stack([self._near(box, boxes) for box in awaited])
        shared = np.stack([overlap(box, boxes) for box in awaited])
        likelihood = score_matrix(self._looks(), faces, "likelihood")
        alike = np.where(near, np.asarray(likelihood, np.float64), -np.inf)
        most = alike.max(0, initial=-1e300)
        share = alike - most - np.log(np.exp(alike - most).sum(0).clip(1e-300))
        cost: np.ndarray = -np.log(0.05 + shared) - np.where(near, share, 0)
        return np.where(near, np.minimum(cost, FAR / 2), FAR)

    def _near(self, box: np.ndarray, others: np.ndarray) -> np.ndarray:
        """[N] bool: which of ``others`` [N, 4] the face at ``box`` may have become."""
        side = np.sqrt(_area(box[None]))[0]
        ratio = np.sqrt(_area(others)) / max(side, 1e-6)
        distance = np.linalg.norm((others[:, :2] + others[:, 2:]) / 2 - _middle(box), axis=1)
        fits = (ratio <= self._rules.grow) & (ratio >= 1 / self._rules.grow)
        near: np.ndarray = fits & (distance <= self._rules.reach * side)
        return near

    def _looks(self) -> FaceEmbedding:
        """The template of the recent sightings of each open track."""
        faces = FaceEmbedding.concatenate([face for t in self._open for face in t.faces])
        ids = np.repeat(np.arange(len(self._open)), [len(t.faces) for t in self._open])
        return fuse(faces, ids)


def _middle(box: np.ndarray) -> np.ndarray:
    middle: np.ndarray = (box[:2] + box[2:]) / 2
    return middle


def _area(boxes: np.ndarray) -> np.ndarray:
    area: np.ndarray = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return area
