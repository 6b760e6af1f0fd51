"""One variation at a chosen strength: what robustness is measured along.

Where `degrade` draws a strength by the image's name, here it is given, and the harder level of an image
contains the easier one: the same blocks are hidden and more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from urface.data.decode import resize_image
from urface.evaluation.degrade import GRID, SIZE
from urface.variations.lowres import gaussian_blur, shrink
from urface.variations.occlusion import occlude

Kind = Literal["blur", "occlusion", "pixels", "yaw"]
# (key of an image, its yaw in degrees) -> the face turned to that yaw; None where it cannot be turned.
Turn = Callable[[str, float], "np.ndarray | None"]


@dataclass(frozen=True)
class Ladder:
    """A variation and its levels, from nothing to the strongest.

    axis   its name with its unit
    fewer_is_harder   the levels fall (pixels)
    """

    kind: Kind
    axis: str
    levels: tuple[float, ...]
    fewer_is_harder: bool = False


LADDERS = (
    Ladder("blur", f"side of the blur kernel (pixels, of {SIZE})", (1, 7, 13, 19, 25, 31)),
    Ladder("occlusion", "occluded share of the image (%)", (0, 15, 30, 45, 60, 75)),
    Ladder("pixels", "size of the face image (pixels a side)", (112, 48, 32, 24, 16, 12, 8), True),
    Ladder("yaw", "yaw of the head (degrees, either side)", (0, 15, 30, 45, 60, 75)),
)


def at_level(
    image: np.ndarray, key: str, kind: Kind, level: float, turn: Turn | None = None
) -> np.ndarray | None:
    """``image`` [H, W, 3] uint8 at SIZE x SIZE with one variation at ``level`` of its ladder.

    blur: side of the kernel, odd, 1 is none; occlusion: percent of GRID^2 blocks; pixels: side; yaw:
    degrees, to a side that ``key`` draws. A pure function of its arguments. None where a head cannot
    be turned.
    """
    if kind == "yaw":
        turned = turn(key, level * side_of(key)) if turn else None
        return None if turned is None else resize_image(turned, SIZE)
    image = resize_image(image, SIZE)
    if kind == "blur":
        return gaussian_blur(image, int(level)) if level > 1 else image
    if kind == "pixels":
        return shrink(image, int(level))
    blocks = round(level / 100 * GRID**2)
    return occlude(image, GRID, _drawn(key).permutation(GRID**2)[:blocks])


def extreme(image: np.ndarray, key: str, turn: Turn | None = None) -> np.ndarray:
    """What hardly anybody recognises: turned by 60 degrees where possible, 12 pixels, 45 % occluded."""
    turned = at_level(image, key, "yaw", 60, turn)
    small = at_level(image if turned is None else turned, key, "pixels", 12)
    assert small is not None
    hidden = at_level(small, key, "occlusion", 45)
    assert hidden is not None
    return hidden


def side_of(key: str) -> int:
    """-1 or 1, as the key draws: the side that a head is turned to."""
    return 1 if _digest(key)[-1] % 2 else -1


def _digest(key: str) -> bytes:
    return hashlib.sha256(f"level:{key}".encode()).digest()


def _drawn(key: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(int.from_bytes(_digest(key)[:8], "little")))
