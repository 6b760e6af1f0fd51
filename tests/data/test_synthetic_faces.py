"""Claims that an off-the-shelf detector makes for us: the synthetic faces look like faces.

The detector was made for whole pictures, so each 112x112 crop is laid in the middle of a grey 224x224
picture and enlarged twice.
"""

from __future__ import annotations

import warnings
from typing import Any

import cv2
import numpy as np
import pytest

from urface.data.synthetic import ShotStyle, SyntheticFace, render_face

PEOPLE = 220
MARGIN, ENLARGED = 56, 2


@pytest.fixture(scope="module")
def solutions() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies use what newer Pythons deprecate
        mediapipe = pytest.importorskip("mediapipe", reason="needs mediapipe to judge the faces")
    return mediapipe.solutions


@pytest.fixture(scope="module")
def frontal() -> list[SyntheticFace]:
    style = ShotStyle(frontal=True)
    return [render_face(1, 50_000 + identity, 0, style=style) for identity in range(PEOPLE)]


def framed(face: SyntheticFace) -> np.ndarray:
    picture = np.full((224, 224, 3), 127, np.uint8)
    picture[MARGIN:-MARGIN, MARGIN:-MARGIN] = face.image
    return cv2.resize(picture, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)


@pytest.mark.filterwarnings("ignore")
def test_a_face_detector_finds_95_percent_of_frontal_faces(
    solutions: Any, frontal: list[SyntheticFace]
) -> None:
    with solutions.face_detection.FaceDetection(
        model_selection=0, min_detection_confidence=0.5
    ) as detector:
        found = [bool(detector.process(framed(face)).detections) for face in frontal]
    assert sum(found) >= 0.95 * PEOPLE, f"{sum(found)} of {PEOPLE}"


@pytest.mark.filterwarnings("ignore")
def test_a_face_mesh_agrees_with_our_landmarks(
    solutions: Any, frontal: list[SyntheticFace]
) -> None:
    points = [468, 473, 4, 61, 291]  # pupil at the image's left, at its right, nose, mouth corners
    errors = []
    with solutions.face_mesh.FaceMesh(
        static_image_mode=True, refine_landmarks=True, min_detection_confidence=0.5
    ) as mesh:
        for face in frontal:
            answer = mesh.process(framed(face)).multi_face_landmarks
            if not answer:
                continue
            marks = answer[0].landmark
            found = np.array([[marks[i].x, marks[i].y] for i in points]) * 224 - MARGIN
            errors.append(np.linalg.norm(found - face.landmarks, axis=1))
    assert len(errors) >= 0.95 * PEOPLE, f"{len(errors)} of {PEOPLE}"
    assert np.median(errors, axis=0).max() < 3.0, np.median(errors, axis=0)
