"""Pose: the face of an image seen from another side."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from urface.template import TEMPLATE, TEMPLATE_SIZE
from urface.variations.backdrop import without_head
from urface.variations.head_mesh import depth_lack, head_rings, topology
from urface.variations.head_pose import EARS, FIVE, POINTS, HeadPose, rotation
from urface.variations.texture import texture
from urface.variations.view import facing, paint, rasterise

# From a head that is turned further away than this, half of the face would have to be invented.
NEAR_FRONTAL_YAW, NEAR_FRONTAL_PITCH = 20.0, 20.0
DEPTH = 1.05  # of the detector's depth: at this the five points turn as those of true renders do
HIDDEN_AFTER = 15.0  # degrees of turn after which what was hidden is filled whole; at 0 nothing is
BACKDROP_AFTER = 4.0  # degrees of turn after which the head is gone from the backdrop
MARGIN = 0.05  # ear distances around the head that are taken from the backdrop too: loose hair


def is_near_frontal(pose: HeadPose) -> bool:
    """Whether a head looks ahead far enough to be turned."""
    return abs(pose.yaw) <= NEAR_FRONTAL_YAW and abs(pose.pitch) <= NEAR_FRONTAL_PITCH


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[3, 3]: the least-squares similarity that takes points ``source`` [N, 2] to ``target``.

    Without reflection it has four unknowns in closed form: Umeyama, PAMI 1991.
    """
    p, q = source - source.mean(0), target - target.mean(0)
    norm = (p**2).sum()
    a = (p * q).sum() / norm
    b = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / norm
    x, y = target.mean(0) - np.array([[a, -b], [b, a]]) @ source.mean(0)
    return np.array([[a, -b, x], [b, a, y], [0.0, 0.0, 1.0]])


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
    square = mesh * [1.0, aspect, 1.0]
    camera = square * [1.0, -1.0, -DEPTH]
    origin = (camera[EARS[0]] + camera[EARS[1]]) / 2
    unit = float(np.linalg.norm(camera[EARS[1]] - camera[EARS[0]]))
    before, after = rotation(*pose), rotation(yaw, pitch, pose.roll)
    head = (camera - origin) @ before / unit
    head[:, 2] += depth_lack()
    points = np.concatenate([head[:POINTS], head_rings(head[shape.outline])])
    source = points @ before.T * unit + origin
    turned = points @ after.T * unit

    to_pixels = np.array([1.0, -1.0 / aspect])
    # What the aligner would do to the turned head, less what it did to this one: an image comes back
    # aligned as its data set is, with the same error.
    five = list(FIVE)
    template = TEMPLATE * (width / TEMPLATE_SIZE)
    five_turned = (head[five] @ after.T * unit)[:, :2] * [1, -1]
    realign = np.linalg.inv(similarity(square[five, :2], template))
    realign = realign @ similarity(five_turned, template)
    screen = np.empty((len(points), 3), np.float32)
    screen[:, :2] = turned[:, :2] * [1, -1] @ realign[:2, :2].T + realign[:2, 2]
    screen[:, 1] /= aspect
    screen[:, :2] *= 2
    screen[:, 2] = turned[:, 2]

    degrees = turned_by(before, after)
    pixels = source[:, :2] * to_pixels
    backdrop = without_head(image, pixels[-len(shape.outline) :], MARGIN * unit)
    surface = texture(
        cv2.blur(image, (3, 3)),
        backdrop,
        shape,
        pixels,
        facing(source, shape.triangles),
        points[:, 0] * np.sign(pose.yaw),
        unit,
        min(1.0, degrees / HIDDEN_AFTER),
    )
    surface[:, :4] *= 2
    cleared = min(1.0, degrees / BACKDROP_AFTER)
    if cleared < 1:
        backdrop = cv2.addWeighted(image, 1 - cleared, backdrop, cleared, 0)
    size = (2 * width, 2 * height)
    picture = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    depth = np.empty(size[::-1], np.float32)
    seen = np.empty(size[::-1], np.int32)
    weights = np.empty((*size[::-1], 2), np.float32)
    rasterise(screen, shape.triangles, depth, seen, weights)
    view = np.empty((height, width, 3), np.uint8)
    paint(picture, backdrop, depth, seen, weights, shape.triangles, surface, view)
    return view


def turned_by(before: np.ndarray, after: np.ndarray) -> float:
    """Degrees between two rotations [3, 3]."""
    cosine = (np.trace(after @ before.T) - 1) / 2
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
