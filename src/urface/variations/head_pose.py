"""Which way a head looks: yaw, pitch and roll of a face mesh, and the rotation that they stand for.

Frame of all meshes here: x to the viewer's right, y up, z towards the viewer. Degrees as in types.py.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

POINTS = 468  # of the mesh proper; 10 points of the irises follow
MESH_POINTS = 478
FIVE = (468, 473, 1, 61, 291)  # pupil at the image's left, at its right, nose, corners of the mouth
EARS = (234, 454)  # at the image's left and right, on the axis of the head

# Fitted on 2,000 synthetic faces of known pose (`bench/pose.py calibrate` tells how well the curve reads
# other people): the detector's depth is trusted at 0.8 of what it says, then
# its angle is right up to 30 degrees; beyond, it falls short.
TRUSTED_DEPTH = 0.8
YAW_READ = np.array([0.0, 30.0, 38.0, 44.0, 50.0, 58.0, 90.0])
YAW_TRUE = np.array([0.0, 30.0, 42.5, 49.8, 57.0, 64.0, 90.0])
PITCH_SCALE, PITCH_SHIFT = 1.11, 1.9


class HeadPose(NamedTuple):
    """Degrees: yaw > 0 looks to the viewer's right, pitch > 0 up, roll > 0 clockwise."""

    yaw: float
    pitch: float
    roll: float


@lru_cache(maxsize=1)
def mean_face() -> np.ndarray:
    """[478, 3] float64: the mean mesh of 150 neutral synthetic faces, symmetric, looking ahead.

    Its unit is the distance between EARS, whose midpoint is the origin.
    """
    face: np.ndarray = np.load(Path(__file__).parent / "mean_face.npy").astype(np.float64)
    face.setflags(write=False)
    return face


def rotation(yaw: float, pitch: float, roll: float = 0.0) -> np.ndarray:
    """[3, 3] head to camera: first pitch, then yaw, then roll, in degrees."""
    a, b, c = math.radians(yaw), math.radians(pitch), math.radians(roll)
    sa, ca, sb, cb, sc, cc = (f(x) for x in (a, b, c) for f in (math.sin, math.cos))
    # tilt @ turn @ nod, multiplied out
    return np.array(
        [
            [cc * ca, sc * cb - cc * sa * sb, sc * sb + cc * sa * cb],
            [-sc * ca, cc * cb + sc * sa * sb, cc * sb - sc * sa * cb],
            [-sa, -ca * sb, ca * cb],
        ]
    )


def angles(turn: np.ndarray) -> HeadPose:
    """The degrees that ``rotation`` makes ``turn`` [3, 3] of; yaw within +-90."""
    yaw = np.arcsin(np.clip(-turn[2, 0], -1.0, 1.0))
    pitch = np.arctan2(-turn[2, 1], turn[2, 2])
    roll = np.arctan2(-turn[1, 0], turn[0, 0])
    return HeadPose(*(float(a) for a in np.rad2deg((yaw, pitch, roll))))


def nearest_rotation(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """[3, 3]: the rotation that brings ``points`` [N, 3] nearest to ``onto``, whatever shift and scale.

    Least squares in closed form (Kabsch 1976).
    """
    left, _, right = np.linalg.svd((onto - onto.mean(0)).T @ (points - points.mean(0)))
    sign = 1.0 if np.linalg.det(left @ right) > 0 else -1.0
    best: np.ndarray = (left * [1.0, 1.0, sign]) @ right
    return best


def estimate_pose(mesh: np.ndarray) -> HeadPose:
    """The pose of ``mesh`` [478, 3], x right, y down, z away from the viewer, one unit for all three.

    The rotation from the mean face to the mesh, read through a curve that makes it degrees. On
    synthetic faces the error of yaw has a standard deviation of 2 degrees up to 20, of 5 up to 65.
    """
    seen = mesh[:POINTS].astype(np.float64) * [1.0, -1.0, -TRUSTED_DEPTH]
    read = angles(nearest_rotation(mean_face()[:POINTS], seen))
    yaw = float(np.copysign(np.interp(abs(read.yaw), YAW_READ, YAW_TRUE), read.yaw))
    return HeadPose(yaw, PITCH_SCALE * read.pitch + PITCH_SHIFT, read.roll)
