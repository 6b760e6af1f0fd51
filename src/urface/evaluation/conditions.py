"""What is done to test faces, by name: each a pure function of image, key and seed.

clean, degraded (one of three, drawn by the face's name), blur, occluded, pose, all; and levels for
curves: 16px (shrunk to 16 pixels a side), blur15 (kernel 15), occluded20 (20 of 49 blocks), yaw45.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from urface.data.decode import resize_image
from urface.evaluation.degrade import BLOCKS, BLUR_KERNELS, GRID, SIZE, WHAT, degrade
from urface.types import UserError
from urface.variations.lowres import gaussian_blur, shrink
from urface.variations.occlusion import occlude

# (image at SIZE x SIZE, its key, yaw and pitch in degrees) -> the face turned so, or as it was where it
# cannot be turned.
Turn = Callable[[np.ndarray, str, float, float], np.ndarray]

YAWS = (40.0, 60.0)
ALL_KERNELS, ALL_PIXELS, ALL_BLOCKS = (5, 11), (12, 24), (6, 14)
NAMED = ("clean", "degraded", "blur", "occluded", "pose", "all")
LEVEL = re.compile(r"(?:(?P<pixels>\d+)px|(?P<kind>blur|occluded|yaw)(?P<level>\d+))")


@dataclass(frozen=True)
class Condition:
    """A condition that test faces are put in: ``key`` names it, ``what`` says it in a sentence's part.

    stamp  what tells apart two conditions of one key, where faces are turned by meshes from a file
    """

    key: str
    name: str
    what: str
    apply: Callable[[np.ndarray, str, int], np.ndarray]
    stamp: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing is done."""
        return self.key == "clean"


def condition(key: str, turn: Turn | None = None) -> Condition:
    """The condition called ``key``; those that turn heads need ``turn``.

    Raises UserError for another name, a level out of range, or a turn without ``turn``.
    """
    if key == "clean":
        return Condition(key, "Clean", "faces as they are", lambda image, name, seed: image)
    if key == "degraded":
        return Condition(key, "Degraded", WHAT, degrade)
    found = LEVEL.fullmatch(key)
    kind, level = key, 0
    if found:
        kind = "pixels" if found["pixels"] else found["kind"]
        level = int(found["pixels"] or found["level"])
    elif key not in NAMED:
        raise UserError(
            f"conditions: no condition is called {key!r}: known are {', '.join(NAMED)}, and levels such "
            "as 16px, blur15, occluded20, yaw45"
        )
    if kind in ("pose", "yaw") and turn is None:
        raise UserError(f"conditions: {key} needs face meshes of the test images: give test_meshes")
    name, what, change = _described(key, kind, level, turn)

    def apply(image: np.ndarray, name: str, seed: int) -> np.ndarray:
        return change(resize_image(image, SIZE), name, _random(key, name, seed))

    stamp = str(getattr(turn, "stamp", "")) if kind in ("pose", "yaw") else ""
    return Condition(key, name, what, apply, stamp)


Change = Callable[[np.ndarray, str, np.random.Generator], np.ndarray]


def _described(key: str, kind: str, level: int, turn: Turn | None) -> tuple[str, str, Change]:
    """The condition's name, what it does, and how."""
    at = f"at {SIZE} pixels"
    if kind == "pixels":
        _check(4 <= level <= SIZE, key, f"from 4px to {SIZE}px")
        what = f"each face is shrunk to {level} x {level} pixels"
        return f"{level} pixels", what, lambda image, name, random: shrink(image, level)
    if kind == "blur":
        kernels = (level, level) if level else BLUR_KERNELS
        _check(kernels[0] % 2 == 1 and kernels[1] <= 99, key, "an odd kernel up to 99")
        what = f"a Gaussian blur of each face (kernel {_span(kernels)} {at})"
        return _title("Blur", level), what, lambda i, n, r: gaussian_blur(i, _odd(r, kernels))
    if kind == "occluded":
        blocks = (level, level) if level else BLOCKS
        _check(blocks[1] < GRID * GRID, key, f"fewer than {GRID * GRID} blocks")
        what = f"{_span(blocks)} of {GRID * GRID} blocks of each face in black"
        return _title("Occluded", level), what, lambda i, n, r: _blocks(i, r, blocks)
    if kind == "all":
        what = (
            f"everything at once: a Gaussian blur (kernel {_span(ALL_KERNELS)} {at}), shrinking to "
            f"{_span(ALL_PIXELS)} pixels and {_span(ALL_BLOCKS)} of {GRID * GRID} blocks in black"
        )
        return "All", what, _everything
    assert turn is not None
    yaws = (float(level), float(level)) if kind == "yaw" else YAWS
    _check(yaws[1] <= 75, key, "up to yaw75")
    span = f"{yaws[0]:g}" if yaws[0] == yaws[1] else f"{yaws[0]:g} to {yaws[1]:g}"
    what = f"each face that can be turned is seen from {span} degrees to either side"

    def turned(image: np.ndarray, name: str, random: np.random.Generator) -> np.ndarray:
        side = 1.0 if random.random() < 0.5 else -1.0
        return turn(image, name, side * random.uniform(*yaws), 0.0)

    return _title("Turned", level), what, turned


def _everything(image: np.ndarray, name: str, random: np.random.Generator) -> np.ndarray:
    image = gaussian_blur(image, _odd(random, ALL_KERNELS))
    image = shrink(image, int(random.integers(ALL_PIXELS[0], ALL_PIXELS[1] + 1)))
    return _blocks(image, random, ALL_BLOCKS)


def _blocks(image: np.ndarray, random: np.random.Generator, bounds: tuple[int, int]) -> np.ndarray:
    count = int(random.integers(bounds[0], bounds[1] + 1))
    return occlude(image, GRID, random.permutation(GRID * GRID)[:count])


def _odd(random: np.random.Generator, bounds: tuple[int, int]) -> int:
    return bounds[0] + 2 * int(random.integers((bounds[1] - bounds[0]) // 2 + 1))


def _random(key: str, name: str, seed: int) -> np.random.Generator:
    """Another stream for each condition, so that no two conditions share their draws."""
    digest = hashlib.sha256(f"{seed}:{key}:{name}".encode()).digest()
    return np.random.Generator(np.random.Philox(int.from_bytes(digest[:8], "little")))


def _title(name: str, level: int) -> str:
    return f"{name}, {level}" if level else name


def _span(bounds: tuple[int, int]) -> str:
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]} to {bounds[1]}"


def _check(holds: bool, key: str, wanted: str) -> None:
    if not holds:
        raise UserError(f"conditions: {key} is out of range: {wanted}")
