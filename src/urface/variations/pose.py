"""Pose: the face of an image seen from another side."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from urface.variations.backdrop import without_head
from urface.variations.enlarge import enlarged
from urface.variations.head_mesh import topology
from urface.variations.head_pose import HeadPose, rotation
from urface.variations.head_turn import turn_head
from urface.variations.texture import texture
from urface.variations.view import facing, paint, rasterise

# From a head that is turned further away than this, half of the face would have to be invented.
NEAR_FRONTAL_YAW, NEAR_FRONTAL_PITCH = 20.0, 20.0
HIDDEN_AFTER = 15.0  # degrees of turn after which what was hidden is filled whole; at 0 nothing is
BACKDROP_AFTER = 4.0  # degrees of turn after which the head is gone from the backdrop
MARGIN = 0.05  # ear distances around the head that are taken from the backdrop too: loose hair


def is_near_frontal(pose: HeadPose) -> bool:
    """Whether a head looks ahead far enough to be turned."""
    return abs(pose.yaw) <= NEAR_FRONTAL_YAW and abs(pose.pitch) <= NEAR_FRONTAL_PITCH


class HeadView(NamedTuple):
    """A head as one image shows it.

    mesh     [478, 3] in pixels of the image: x right, y down, depth away from the viewer
    pose     degrees, as ``estimate_pose`` reads them
    aspect   height of a pixel over its width: 1 unless the picture was brought to another shape
    """

    mesh: np.ndarray
    pose: HeadPose
    aspect: float = 1.0


def turned_view(image: np.ndarray, head_view: HeadView, yaw: float, pitch: float) -> np.ndarray:
    """``image`` [H, W, 3] uint8 as if its head looked to ``yaw`` and ``pitch`` degrees; roll stays.

    The mesh and the rest of the head, extrapolated, are turned about the head's middle and drawn over
    the picture without the head. The five points are then brought to where the data set's aligner
    would have brought them: the view is aligned as the image is, with the same error. A head that is
    there already comes back (almost) as it is.
    """
    height, width = image.shape[:2]
    shape = topology()
    mesh, pose, aspect = head_view
    before, after = rotation(*pose), rotation(yaw, pitch, pose.roll)
    head = turn_head(mesh, aspect, width, before, after)
    degrees = turned_by(before, after)
    backdrop = without_head(image, head.pixels[-len(shape.outline) :], MARGIN * head.unit)
    surface = texture(
        cv2.blur(image, (3, 3)),
        backdrop,
        shape,
        head.pixels,
        facing(head.source, shape.triangles),
        head.across * np.sign(pose.yaw),
        head.unit,
        min(1.0, degrees / HIDDEN_AFTER),
    )
    surface[:, :4] *= 2
    cleared = min(1.0, degrees / BACKDROP_AFTER)
    if cleared < 1:
        backdrop = cv2.addWeighted(image, 1 - cleared, backdrop, cleared, 0)
    picture = enlarged(image)
    depth = np.empty(picture.shape, np.float32)
    seen = np.empty(picture.shape, np.int16)
    weights = np.empty((len(shape.triangles), 6), np.float32)
    rasterise(head.screen, shape.triangles, depth, seen, weights)
    view = np.empty((height, width, 3), np.uint8)
    paint(picture, backdrop, depth, seen, weights, shape.triangles, surface, view)
    return view


def turned_by(before: np.ndarray, after: np.ndarray) -> float:
    """Degrees between two rotations [3, 3]."""
    cosine = (float((after * before).sum()) - 1) / 2  # the sum is the trace of after @ before.T
    return math.degrees(math.acos(min(max(cosine, -1.0), 1.0)))
