"""Turned photos, order and size of faces, with a detector that knows where its faces are."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from urface.data.decode import encode_png
from urface.photos import FoundFace, NoFace, aligned_face, each_photo, find_faces
from urface.photos.faces import roll_of
from urface.template import TEMPLATE

MARK = (255, 0, 255)


class Marks:
    """Finds a face at five marked pixels, in the colours of MARK minus the point's number."""

    name = "marks"

    def __init__(self, upright: float = 0.9, lying: float = 0.7) -> None:
        self.scores = (upright, lying)
        self.asked = 0

    def detect(self, photo: np.ndarray) -> list[FoundFace]:
        self.asked += 1
        points = []
        for number in range(5):
            y, x = np.nonzero((photo == np.array([255 - number, 0, 255])).all(2))
            if not len(x):
                return []
            points.append([x[0], y[0]])
        found = np.float32(points)
        upright = abs(roll_of(found)) <= 45
        box = np.concatenate([found.min(0), found.max(0)])
        score = self.scores[0 if upright else 1]
        return [FoundFace(box, found, score)] if score else []


def marked() -> tuple[np.ndarray, np.ndarray]:
    photo = np.zeros((150, 230, 3), np.uint8)
    points = np.rint(TEMPLATE + np.array([60, 10])).astype(int)
    for number, (x, y) in enumerate(points):
        photo[y, x] = (255 - number, 0, 255)
    return photo, points


@pytest.mark.parametrize("lying", [0.7, 0.0])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_lying_photo_is_turned_and_the_points_are_its_own(turn: int, lying: float) -> None:
    photo, _ = marked()
    on_its_side = np.ascontiguousarray(np.rot90(photo, turn // 90))  # counter-clockwise
    (found,) = find_faces(on_its_side, Marks(lying=lying), smallest=1)
    assert found.rotation == turn
    for number, (x, y) in enumerate(found.face.points.astype(int)):
        assert on_its_side[y, x].tolist() == [255 - number, 0, 255]
    x0, y0, x1, y1 = found.face.box
    assert x0 == found.face.points[:, 0].min()
    assert y1 == found.face.points[:, 1].max()
    assert x1 > x0
    assert y1 > y0
    upright = find_faces(photo, Marks(), smallest=1)[0]
    assert abs(found.image.astype(int) - upright.image).max() <= 2  # rounding of the warp


def test_the_first_find_would_place_a_lying_face_wrongly() -> None:
    """The control: without looking at all turns the find on the side is taken as it is."""
    photo, _ = marked()
    on_its_side = np.ascontiguousarray(np.rot90(photo))
    assert abs(roll_of(Marks().detect(on_its_side)[0].points)) > 45


def test_an_upright_sure_find_is_enough_and_nothing_is_looked_for_four_times() -> None:
    photo, _ = marked()
    sure, unsure, none = Marks(), Marks(upright=0.6), Marks()
    find_faces(photo, sure)
    find_faces(photo, unsure)
    assert find_faces(np.zeros_like(photo), none) == []
    assert (sure.asked, unsure.asked, none.asked) == (1, 4, 4)


@pytest.mark.parametrize("degrees", [-170, -90, -30, 0, 10, 89, 180])
def test_roll_is_clockwise_in_the_picture(degrees: float) -> None:
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])  # y is down
    found = roll_of(((TEMPLATE - 56) @ matrix.T).astype(np.float32))
    assert (found - degrees + 180) % 360 - 180 == pytest.approx(0, abs=1)


class Several:
    name = "several"

    def detect(self, photo: np.ndarray) -> list[FoundFace]:
        found = []
        for side in (30, 90, 10, 50):
            points = (TEMPLATE / 112 * side).astype(np.float32)
            found.append(FoundFace(np.float32([0, 0, side, side]), points, 0.9))
        return found


def test_faces_come_largest_first_and_the_small_ones_are_left_out() -> None:
    photo = np.zeros((100, 100, 3), np.uint8)
    faces = find_faces(photo, Several())
    assert [face.face.size for face in faces] == [90, 50, 30]
    assert [face.number for face in faces] == [1, 2, 3]
    assert {face.of for face in faces} == {3}
    assert aligned_face(photo, Several()).face.size == 90


def test_a_photo_with_tiny_faces_alone_is_told_apart_from_one_without() -> None:
    photo = each_photo.Photo("a.png", encode_png(np.zeros((100, 100, 3), np.uint8)))
    seen = each_photo.look(photo, Several(), "all", smallest=60)
    assert (seen.outcome, len(seen.faces), seen.small) == ("aligned", 1, 3)
    seen = each_photo.look(photo, Several(), "all", smallest=95)
    assert (seen.outcome, seen.faces, seen.small) == ("too small", [], 4)
    assert seen.reason == "the largest of 4 faces measures 90 pixels, less than 95"
    assert each_photo.look(photo, Marks(), "all").outcome == "no face"
    assert len(each_photo.look(photo, Several(), "largest").faces) == 1


def test_a_photo_over_the_limits_is_refused_by_its_header_and_named() -> None:
    huge = encode_png(np.zeros((1, 1, 3), np.uint8))
    header = huge[:16] + (60_000).to_bytes(4, "big") + (60_000).to_bytes(4, "big") + huge[24:29]
    data = header + zlib.crc32(header[12:29]).to_bytes(4, "big") + huge[33:]
    seen = each_photo.look(each_photo.Photo("huge.png", data), Several(), "all")
    assert seen.outcome == "undecodable"
    assert "60000 x 60000 pixels" in seen.reason


def test_a_photo_without_a_face_raises_its_name() -> None:
    with pytest.raises(NoFace, match=r"^sea\.jpg: no face"):
        aligned_face(np.zeros((50, 50, 3), np.uint8), Marks(), "sea.jpg")
