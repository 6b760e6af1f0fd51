"""Claims about angles: the signs of types.py, and that what is put in is read again."""

from __future__ import annotations

import numpy as np
import pytest

from urface.variations.head_pose import (
    MESH_POINTS,
    PITCH_SCALE,
    PITCH_SHIFT,
    angles,
    estimate_pose,
    mean_face,
    nearest_rotation,
    rotation,
)

AHEAD = np.array([0.0, 0.0, 1.0])


def test_positive_yaw_looks_right_positive_pitch_up_and_positive_roll_turns_clockwise() -> None:
    assert (rotation(30, 0) @ AHEAD)[0] > 0.4
    assert (rotation(0, 30) @ AHEAD)[1] > 0.4
    top = rotation(0, 0, 30) @ [0, 1, 0]
    assert top[0] > 0.4  # the crown goes to the viewer's right


@pytest.mark.parametrize("pose", [(0, 0, 0), (50, -10, 20), (-75, 25, -30)])
def test_angles_undo_rotation(pose: tuple[float, float, float]) -> None:
    turn = rotation(*pose)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(angles(turn), pose, atol=1e-9)


def test_the_nearest_rotation_forgets_shift_and_scale_and_never_mirrors() -> None:
    points = np.random.default_rng(0).normal(size=(30, 3))
    turn = rotation(20, 10, -15)
    np.testing.assert_allclose(nearest_rotation(points, 7 * points @ turn.T + 3), turn, atol=1e-9)
    assert np.linalg.det(nearest_rotation(points, points * [-1, 1, 1])) == pytest.approx(1)


def test_the_mean_face_is_symmetric_and_of_unit_width() -> None:
    face = mean_face()
    assert face.shape == (MESH_POINTS, 3)
    assert np.linalg.norm(face[454] - face[234]) == pytest.approx(1, abs=1e-3)
    mirrored = face * [-1, 1, 1]
    nearest = np.abs(face[:, None] - mirrored[None]).max(2).min(1)
    assert nearest.max() < 0.01


@pytest.mark.parametrize("yaw", [-20, -5, 0, 10, 20])
def test_a_turned_mean_face_is_read_near_its_yaw(yaw: float) -> None:
    mesh = mean_face() @ rotation(yaw, 0, 5).T * [1, -1, -1]
    pose = estimate_pose(mesh)
    # The curve is for the detector's depth, which is not the mean face's own: 4 degrees of slack.
    assert pose.yaw == pytest.approx(yaw, abs=4)
    assert pose.roll == pytest.approx(5, abs=1)
    assert estimate_pose(mesh * 50 + 7).yaw == pytest.approx(pose.yaw)


def test_a_mirrored_mesh_has_the_opposite_yaw_and_roll() -> None:
    from urface.variations.head_mesh import topology

    mesh = mean_face() @ rotation(25, 5, 4).T * [1, -1, -1]
    pose = estimate_pose(mesh)
    mirror = topology().mirror[:468]
    other = mesh.copy()
    other[:468] = mesh[mirror] * [-1, 1, 1]
    again = estimate_pose(other)
    np.testing.assert_allclose(again, (-pose.yaw, pose.pitch, -pose.roll), atol=0.05)
    assert PITCH_SCALE > 0
    assert abs(PITCH_SHIFT) < 5
