"""Claims about turned views: geometry against the rotation matrix, symmetry, purity, labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from turned_head import EARS_APART, head_of, smooth_picture
from urface.config import VariationSettings
from urface.template import TEMPLATE
from urface.variations.augment import augment, sample_generator, turn, turn_generator
from urface.variations.head_mesh import depth_lack, topology
from urface.variations.head_pose import FIVE, HeadPose, rotation
from urface.variations.head_turn import DEPTH, similarity
from urface.variations.pose import HeadView, is_near_frontal, turned_view


def off(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b)


def test_a_head_turned_to_where_it_looks_comes_back_as_it_is(
    picture: np.ndarray, head: HeadView
) -> None:
    view = turned_view(picture, head, head.pose.yaw, head.pose.pitch)
    assert view.dtype == np.uint8
    assert off(view, picture).mean() < 0.6
    assert off(view, picture)[2:-2, 2:-2].max() <= 4


@pytest.mark.parametrize("aspect", [1.0, 1.2])
@pytest.mark.parametrize("yaw", [-45.0, 30.0])
def test_a_mark_on_the_face_goes_where_the_rotation_matrix_says(yaw: float, aspect: float) -> None:
    front = head_of()
    head = HeadView(front.mesh / [1, aspect, 1], front.pose, aspect)
    side = topology().outwards[:468] < 0.5  # further out colours are taken from further in
    reach = np.where(side, front.mesh[:468, 0] * -np.sign(yaw), -np.inf)
    vertex = int(reach.argmax())  # on the cheek that stays in sight
    white = np.full((112, 112, 3), 40, np.uint8)
    x, y = head.mesh[vertex, :2]
    rows, columns = np.mgrid[:112, :112] + 0.5
    white[(rows - y) ** 2 + (columns - x) ** 2 < 6] = 255
    view = turned_view(white, head, yaw, 0.0).astype(float).mean(2)
    bright = view > 150
    centre = np.array([columns[bright].mean(), rows[bright].mean()])

    before, after = rotation(*head.pose), rotation(yaw, 0, head.pose.roll)
    points = front.mesh * [1, -1, -DEPTH]
    unit = np.linalg.norm(points[454] - points[234])
    turned = np.empty((478, 2))
    for place, point in enumerate(points):
        nearer = before.T @ point + [0, 0, unit * depth_lack()[place]]
        turned[place] = (after @ nearer)[:2] * [1, -1]
    five, marks = list(FIVE), front.mesh[:, :2]
    there = similarity(turned[five], TEMPLATE) @ [*turned[vertex], 1]
    expected = np.linalg.inv(similarity(marks[five], TEMPLATE)) @ there
    np.testing.assert_allclose(centre, expected[:2] / [1, aspect], atol=1.2)


def test_positive_yaw_looks_to_the_viewers_right_and_positive_pitch_up() -> None:
    grey = np.full((112, 112, 3), 90, np.uint8)
    head = head_of()
    x, y = head.mesh[1, :2]  # the tip of the nose
    rows, columns = np.mgrid[:112, :112] + 0.5
    grey[(rows - y) ** 2 + (columns - x) ** 2 < 9] = 255

    def nose(yaw: float, pitch: float) -> np.ndarray:
        bright = turned_view(grey, head, yaw, pitch)[..., 0] > 180
        return np.array([columns[bright].mean(), rows[bright].mean()])

    ahead = nose(head.pose.yaw, head.pose.pitch)
    assert nose(40, 0)[0] > ahead[0] + 3
    assert nose(-40, 0)[0] < ahead[0] - 3
    assert nose(0, 20)[1] < ahead[1] - 1.5
    assert nose(0, -20)[1] > ahead[1] + 1.5


@pytest.mark.parametrize("yaw", [30.0, 55.0])
def test_the_mirrored_picture_gives_the_mirrored_view(yaw: float) -> None:
    picture = smooth_picture(3)
    head = head_of(rotation(4, 3))
    mirror = np.append(topology().mirror[:468], [473, 476, 475, 474, 477, 468, 471, 470, 469, 472])
    other = HeadView(
        head.mesh[mirror] * [-1, 1, 1] + [112, 0, 0],
        HeadPose(-head.pose.yaw, head.pose.pitch, -head.pose.roll),
    )
    view = turned_view(picture, head, yaw, 5)
    mirrored = turned_view(np.ascontiguousarray(picture[:, ::-1]), other, -yaw, 5)[:, ::-1]
    # The triangles themselves are not symmetric: a few pixels at edges differ.
    assert off(view, mirrored).mean() < 2.0
    assert np.median(off(view, mirrored)) <= 1


def test_a_view_is_aligned_as_its_picture_is() -> None:
    """Marks at the five points of the mesh end where the aligner would bring the turned five."""
    head = head_of()
    five = head.mesh[list(FIVE), :2]
    matrix = rotation(40, 0, head.pose.roll) @ rotation(*head.pose).T
    turned = ((head.mesh[list(FIVE)] * [1, -1, -DEPTH]) @ matrix.T)[:, :2] * [1, -1]
    aligner = similarity(five, TEMPLATE)
    moved = np.linalg.inv(aligner) @ similarity(turned, TEMPLATE)
    landed = turned @ moved[:2, :2].T + moved[:2, 2]
    # Aligning the view again changes nothing beyond what aligning the picture would have.
    again = similarity(landed, TEMPLATE)
    np.testing.assert_allclose(again, aligner, atol=1e-6)


def test_views_are_the_same_bytes_each_time_and_leave_the_picture_alone(
    picture: np.ndarray, head: HeadView
) -> None:
    before = picture.copy()
    first = turned_view(picture, head, 50, -8)
    np.testing.assert_array_equal(first, turned_view(picture, head, 50, -8))
    np.testing.assert_array_equal(picture, before)
    assert off(first, picture).mean() > 5


@pytest.mark.parametrize("size", [64, 160])
def test_other_sizes_give_the_same_view_at_their_scale(size: int) -> None:
    import cv2

    picture, head = smooth_picture(1, 160), head_of()
    large = HeadView(head.mesh * (160 / 112), head.pose)
    view = turned_view(picture, large, 45, 0)
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    other = turned_view(small, HeadView(head.mesh * (size / 112), head.pose), 45, 0)
    wanted = cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA)
    middle = slice(
        size * 3 // 8, size * 6 // 8
    )  # the face; what lies around it is filled in roughly
    assert np.percentile(off(other, wanted)[middle, middle], 90) < 12


def test_the_rotation_takes_what_was_behind_the_head_from_around_it() -> None:
    """A black head before a bright wall: beyond the far cheek the wall shows, not stretched head."""
    head = head_of()
    wall = np.full((112, 112, 3), 200, np.uint8)
    x, y = (np.mgrid[:112, :112] + 0.5)[::-1]
    inside = ((x - 55.9) / (0.56 * EARS_APART)) ** 2 + ((y - 58) / 75) ** 2 < 1
    wall[inside] = 20
    view = turned_view(wall, head, 55, 0)
    assert (view[30:100, -18:] > 120).mean() > 0.95


def test_only_heads_that_look_ahead_are_near_frontal() -> None:
    assert is_near_frontal(HeadPose(-19, 19, 80))
    assert not is_near_frontal(HeadPose(21, 0, 0))
    assert not is_near_frontal(HeadPose(0, -21, 0))


SETTINGS = VariationSettings(
    low_resolution=0.5, occlusion=0.5, pose=0.5, pose_yaw=(40, 60), pose_pitch=(0, 10)
)


def test_a_face_without_a_mesh_is_left_alone_and_labelled_so(picture: np.ndarray) -> None:
    for index in range(20):
        image, turned = turn(
            picture, None, replace(SETTINGS, pose=1.0), turn_generator(0, 0, index)
        )
        assert image is picture
        assert not turned
        assert augment(image, SETTINGS, sample_generator(0, 0, index), turned)[1][2] == 0.0


def test_turns_come_as_often_as_asked_and_say_so(picture: np.ndarray, head: HeadView) -> None:
    times = 0
    for index in range(60):
        image, turned = turn(picture, head, SETTINGS, turn_generator(0, 0, index))
        times += turned
        assert (image is not picture) == turned
        assert augment(image, SETTINGS, sample_generator(0, 0, index), turned)[1][2] == turned
    assert 15 <= times <= 45


def test_yaws_and_pitches_stay_in_their_bounds_on_both_sides(
    monkeypatch: pytest.MonkeyPatch, picture: np.ndarray, head: HeadView
) -> None:
    asked: list[tuple[float, float]] = []

    def record(image: np.ndarray, _: HeadView, yaw: float, pitch: float) -> np.ndarray:
        asked.append((yaw, pitch))
        return image

    monkeypatch.setattr("urface.variations.augment.turned_view", record)
    for index in range(400):
        turn(picture, head, replace(SETTINGS, pose=1.0), turn_generator(1, 2, index))
    yaw, pitch = np.array(asked).T
    assert 40 <= np.abs(yaw).min() < 41
    assert 59 < np.abs(yaw).max() <= 60
    assert np.abs(pitch).max() <= 10
    assert 150 < (yaw > 0).sum() < 250
    assert 150 < (pitch > 0).sum() < 250
    assert abs(np.corrcoef(yaw > 0, pitch > 0)[0, 1]) < 0.2


def test_the_numbers_of_a_pose_are_not_those_of_the_other_variations() -> None:
    pose = turn_generator(3, 1, 7).random(500)
    others = sample_generator(3, 1, 7).random(500)
    assert not np.isin(pose, others).any()
    np.testing.assert_array_equal(pose, turn_generator(3, 1, 7).random(500))
