"""Where a face lies in an image: a mesh of 478 points by mediapipe, its pose, and the five points."""

from __future__ import annotations

import os
import warnings
from typing import Any, NamedTuple

import cv2
import numpy as np

from urface.types import UserError
from urface.variations.head_pose import FIVE, MESH_POINTS, HeadPose, estimate_pose
from urface.variations.pose import is_near_frontal

OK, NO_FACE, TURNED, UNDECODABLE = "ok", "no face", "not near-frontal", "undecodable"
STATUSES = (OK, NO_FACE, TURNED, UNDECODABLE)
INSTALL = (
    "finding faces needs mediapipe: `make setup-faces`, or pip install absl-py attrs flatbuffers "
    "'protobuf<5' && pip install --no-deps mediapipe==0.10.21"
)
SIDE = 448  # pixels of the square picture that the detector is shown
GREY = (127, 127, 127)
CONFIDENCE = 0.3  # an aligned crop holds a face: the detector need not be sure


class Found(NamedTuple):
    """What was found in one image.

    status   one of STATUSES
    mesh     [478, 3] float32 in shares of the image: x of its width, y of its height (down), depth of
             its width (away from the viewer); None where no face was found
    pose     degrees; NaN where no face was found
    """

    status: str
    mesh: np.ndarray | None
    pose: HeadPose


NOTHING = HeadPose(float("nan"), float("nan"), float("nan"))


class FaceFinder:
    """Finds the face of an image, an aligned crop or a photo. One of these for each thread or process.

    Raises UserError with the line that installs mediapipe where it is missing.
    """

    def __init__(self) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")  # it reports each start of its engine
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its dependencies use what newer Pythons deprecate
                import mediapipe

                self._mesh: Any = mediapipe.solutions.face_mesh.FaceMesh(
                    static_image_mode=True,
                    refine_landmarks=True,
                    max_num_faces=1,
                    min_detection_confidence=CONFIDENCE,
                )
        except ImportError:
            raise UserError(INSTALL) from None

    def find(self, image: np.ndarray) -> Found:
        """The face in ``image`` [H, W, 3] uint8; the clearest where there are several.

        The detector was made for whole pictures: the image is looked at with half its side of grey
        around it, and, where that shows no face, without.
        """
        height, width = image.shape[:2]
        for share in (0.5, 0.0):
            points = self.look(image, share)
            if points is not None:
                pose = estimate_pose(points * [width, height, width])
                return Found(OK if is_near_frontal(pose) else TURNED, points, pose)
        return Found(NO_FACE, None, NOTHING)

    def look(self, image: np.ndarray, share: float) -> np.ndarray | None:
        """The mesh [478, 3] in shares of ``image``, looked for with ``share`` of its side around it."""
        height, width = image.shape[:2]
        side = max(height, width)
        margin = round(share * side)
        # A square: the detector's way back from its crop to the picture is exact only for one.
        top, left = margin + (side - height) // 2, margin + (side - width) // 2
        whole = side + 2 * margin
        picture = cv2.copyMakeBorder(
            image, top, whole - height - top, left, whole - width - left,
            cv2.BORDER_CONSTANT, value=GREY,
        )  # fmt: skip
        method = cv2.INTER_CUBIC if whole < SIDE else cv2.INTER_AREA
        picture = cv2.resize(picture, (SIDE, SIDE), interpolation=method)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # protobuf's, at each call
            answer = self._mesh.process(picture).multi_face_landmarks
        if not answer:
            return None
        points = np.array([(mark.x, mark.y, mark.z) for mark in answer[0].landmark], np.float64)
        assert points.shape == (MESH_POINTS, 3)
        points = points * whole - [left, top, 0]
        shares: np.ndarray = points / [width, height, width]
        return shares.astype(np.float32)


def five_points(mesh: np.ndarray) -> np.ndarray:
    """[5, 2] of a mesh [478, 3]: eyes at the image's left and right, nose, corners of the mouth."""
    return mesh[list(FIVE), :2]
