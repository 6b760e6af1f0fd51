"""From CelebA's own frame to the 112 template that all other aligned faces here stand in."""

from __future__ import annotations

import cv2
import numpy as np

from urface.data.decode import DecodeError
from urface.template import TEMPLATE, TEMPLATE_SIZE

FRAME_WIDTH, FRAME_HEIGHT = 178, 218
FRAME_EYES = ((69.0, 111.0), (108.0, 111.0))


def celeba_transform(width: int, size: int = TEMPLATE_SIZE) -> np.ndarray:
    """[2, 3] float64: the similarity from a CelebA frame ``width`` pixels wide to the template.

    The frame's eyes lie at (69, 111) and (108, 111) when it is 178 wide, the template's where
    ``TEMPLATE`` says when it is 112. Two points fix a similarity; as complex numbers it is
    z -> a z + b with a = (t1 - t0) / (e1 - e0).
    """
    frame_scale, template_scale = width / FRAME_WIDTH, size / TEMPLATE_SIZE
    left, right = (complex(x, y) * frame_scale for x, y in FRAME_EYES)
    target_left, target_right = (complex(x, y) * template_scale for x, y in TEMPLATE[:2])
    turn = (target_right - target_left) / (right - left)
    shift = target_left - turn * left
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def celeba_crop(image: np.ndarray, size: int = TEMPLATE_SIZE, name: str = "image") -> np.ndarray:
    """A CelebA frame of any scale, RGB uint8 [H, W, 3], as an aligned face [size, size, 3].

    What lies outside the frame is black. Raises DecodeError, ``name`` first, for an image whose sides
    are not as 178 to 218: where its eyes are is then not known.
    """
    height, width = image.shape[:2]
    if abs(height - width * FRAME_HEIGHT / FRAME_WIDTH) > 1:
        raise DecodeError(
            f"{name}: {width} x {height} is not CelebA's aligned frame of {FRAME_WIDTH} x "
            f"{FRAME_HEIGHT}, whole or scaled: read other images as a folder identity/image"
        )
    return cv2.warpAffine(
        image, celeba_transform(width, size), (size, size), flags=cv2.INTER_LINEAR
    )
