"""One synthetic face: the picture at an address (seed, identity, shot) and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from urface.data.synthetic import picture
from urface.data.synthetic.degrade import lower_resolution, occlude
from urface.data.synthetic.render import model_of, render
from urface.data.synthetic.shot import OCCLUSION, PICTURE, RESOLUTION, ShotStyle, draw_shot
from urface.data.synthetic.streams import stream
from urface.types import UserError

VARIATION_LABELS = ("low_resolution", "occlusion", "pose", "smiling", "young", "male")
RENDERER_VERSION = 3  # raise it whenever the same address would give other pixels
SMALLEST, LARGEST = 32, 256
FULLY_TURNED = 60.0  # degrees of yaw and pitch together from which the pose label is 1
MIDDLE_AGE, AGE_SPREAD = 42.0, 6.0  # years at which "young" is one half, and its softness


@dataclass(frozen=True)
class SyntheticFace:
    """One rendered face and the truth about it.

    image      [size, size, 3] RGB uint8, aligned to the five-point template
    labels     the six of VARIATION_LABELS, each 0..1
    yaw, pitch, roll   degrees; yaw > 0 looks to the viewer's right, pitch > 0 up, roll > 0 clockwise.
               The aligner takes the head's own roll away: ``roll`` is what remains in the image.
    landmarks  [5, 2] float32 (x, y) in pixels, the template's order; true also where hidden
    """

    image: np.ndarray
    labels: dict[str, float]
    yaw: float
    pitch: float
    roll: float
    landmarks: np.ndarray


def render_face(
    seed: int, identity: int, shot: int, size: int = 112, *, style: ShotStyle | None = None
) -> SyntheticFace:
    """The face at one address; the same bytes in any order, process and batch.

    seed, identity, shot: integers from 0 to 2**62 - 1. size: pixels, 32..256. The size changes no draw,
    so pose and labels agree between sizes (the occlusion label to within its pixels) and landmarks
    scale with it. Raises UserError where a number is out of range.
    """
    if not SMALLEST <= size <= LARGEST:
        raise UserError(f"size must be from {SMALLEST} to {LARGEST} pixels, got {size}")
    if shot < 0:
        raise UserError(f"shot must be 0 or more, got {shot}")
    style = style or ShotStyle()
    model = model_of(seed, identity)
    taken = draw_shot(model.person, seed, identity, shot, style)
    head = render(model, taken, size)
    rng = stream(seed, identity, shot, PICTURE)
    behind = picture.backdrop(rng, head.image.shape[0], style.plain)
    light = np.where(head.covered[..., None], head.image, behind)
    light = cv2.resize(light, (size, size), interpolation=cv2.INTER_AREA)
    face = cv2.resize(head.on_face.view(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST)
    on_face, occlusion, low_resolution = face > 0, 0.0, 0.0
    if style.occlusion_share > 0:
        hand = stream(seed, identity, shot, OCCLUSION)
        light, occlusion = occlude(hand, light, on_face, head.landmarks, style.occlusion_share)
    image = picture.take_picture(rng, light, on_face, style.plain)
    if style.low_resolution_share > 0:
        lens = stream(seed, identity, shot, RESOLUTION)
        image, low_resolution = lower_resolution(lens, image, style.low_resolution_share)
    labels = {
        "low_resolution": low_resolution,
        "occlusion": occlusion,
        "pose": float(min(1.0, np.hypot(taken.yaw, taken.pitch) / FULLY_TURNED)),
        "smiling": taken.smile,
        "young": float(1.0 / (1.0 + np.exp((model.person.age - MIDDLE_AGE) / AGE_SPREAD))),
        "male": float(model.person.male),
    }
    return SyntheticFace(image, labels, taken.yaw, taken.pitch, taken.roll, head.landmarks)
