"""A picture at twice the side, packed so that one read brings a pixel's three colours."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit

Number = Any  # of NumPy, 32 bits long: its stubs tell each kind from float and from every other
# Keys' cubic with a = -0.75, as OpenCV's, a quarter of a pixel from the second of four neighbours.
NEAREST, NEXT = np.float32(0.87890625), np.float32(0.26171875)
BEFORE, AFTER = np.float32(-0.10546875), np.float32(-0.03515625)


def enlarged(image: np.ndarray) -> np.ndarray:
    """``image`` [H, W, 3] uint8 -> [2 H, 2 W] uint32, the first colour in the lowest byte.

    Cubic, the edges repeated. Sampled bilinearly it is nearly as sharp as sampling ``image`` cubically.
    """
    height, width = image.shape[:2]
    big = np.empty((2 * height, 2 * width), np.uint32)
    red, green, blue = cv2.split(image)
    _enlarge(red, green, blue, big)
    return big


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _enlarge(red: np.ndarray, green: np.ndarray, blue: np.ndarray, big: np.ndarray) -> None:
    """Colour by colour and row by row, so that the compiler works on eight pixels at once."""
    height, width = red.shape
    lines = np.empty((3, width + 4), np.float32)
    for row in range(2 * height):
        middle = row // 2
        # The nearest row, the one on the side where the new row lies, and the two beyond.
        side = 1 if row % 2 else -1
        last = height - 1
        beyond = min(max(middle + 2 * side, 0), last)
        beside = min(max(middle + side, 0), last)
        behind = min(max(middle - side, 0), last)
        _mixed(red[behind], red[middle], red[beside], red[beyond], lines[0])
        _mixed(green[behind], green[middle], green[beside], green[beyond], lines[1])
        _mixed(blue[behind], blue[middle], blue[beside], blue[beyond], lines[2])
        _pack(lines[0], lines[1], lines[2], big[row])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _mixed(
    behind: np.ndarray, middle: np.ndarray, beside: np.ndarray, beyond: np.ndarray, line: np.ndarray
) -> None:
    """Fill ``line`` [W + 4] from four rows [W], its first and last two repeating the edges."""
    width = middle.shape[0]
    for x in range(width):
        line[x + 2] = (
            BEFORE * np.float32(behind[x])
            + NEAREST * np.float32(middle[x])
            + NEXT * np.float32(beside[x])
            + AFTER * np.float32(beyond[x])
        )
    line[0] = line[1] = line[2]
    line[width + 2] = line[width + 3] = line[width + 1]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _byte(value: np.float32) -> np.uint32:
    return np.uint32(
        np.int32(min(max(value, np.float32(0.0)), np.float32(255.0)) + np.float32(0.5))
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _left(line: np.ndarray, x: int) -> np.uint32:
    return _byte(
        AFTER * line[x] + NEXT * line[x + 1] + NEAREST * line[x + 2] + BEFORE * line[x + 3]
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _right(line: np.ndarray, x: int) -> np.uint32:
    return _byte(
        BEFORE * line[x + 1] + NEAREST * line[x + 2] + NEXT * line[x + 3] + AFTER * line[x + 4]
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _pack(red: np.ndarray, green: np.ndarray, blue: np.ndarray, out: np.ndarray) -> None:
    """Fill ``out`` [2 W] from three colours' lines [W + 4]."""
    green_shift, blue_shift = np.uint32(8), np.uint32(16)
    for x in range(out.shape[0] // 2):
        out[2 * x] = _left(red, x) | _left(green, x) << green_shift | _left(blue, x) << blue_shift
        out[2 * x + 1] = (
            _right(red, x) | _right(green, x) << green_shift | _right(blue, x) << blue_shift
        )


# Called for every pixel, these are put in by numba: the compiler alone leaves them as calls, each of
# which hands over every array field by field.
@njit(inline="always")
def _folded(at: Number, size: int) -> Number:
    """A coordinate folded back into 0..size - 1 at the picture's edges."""
    last = np.float32(size - 1)
    if at < 0.0:
        at = -at
    if at > last:
        at = at % (2.0 * last)
        if at > last:
            at = 2.0 * last - at
    return at


@njit(inline="always")
def _spread(pixel: Number) -> Number:
    """The three bytes of a pixel 21 bits apart: room for each to be multiplied by up to 2^13."""
    wide = np.uint64(pixel)
    return (
        (wide & np.uint64(0xFF))
        | (wide & np.uint64(0xFF00)) << np.uint64(13)
        | (wide & np.uint64(0xFF0000)) << np.uint64(26)
    )


@njit(inline="always")
def colour(picture: np.ndarray, u: Number, v: Number) -> tuple[Number, Number, Number]:
    """The bilinear colour of ``picture`` at (u, v), pixels with centres at +0.5.

    All three colours at once, in one whole number; the place is rounded to 1/64 of a pixel.
    """
    x = _folded(u - np.float32(0.5), picture.shape[1])
    y = _folded(v - np.float32(0.5), picture.shape[0])
    left = np.uint32(min(np.int32(x), np.int32(picture.shape[1] - 2)))
    top = np.uint32(min(np.int32(y), np.int32(picture.shape[0] - 2)))
    right, bottom = left + np.uint32(1), top + np.uint32(1)
    half, steps, all_steps = np.float32(0.5), np.float32(64.0), np.uint64(64)
    a = np.uint64(np.int32((x - np.float32(left)) * steps + half))
    b = np.uint64(np.int32((y - np.float32(top)) * steps + half))
    mixed = (
        _spread(picture[top, left]) * ((all_steps - a) * (all_steps - b))
        + _spread(picture[top, right]) * (a * (all_steps - b))
        + _spread(picture[bottom, left]) * ((all_steps - a) * b)
        + _spread(picture[bottom, right]) * (a * b)
    )
    scale, lane = np.float32(1 / 4096), np.uint64(0x1FFFFF)
    return (
        scale * np.float32(np.int32(mixed & lane)),
        scale * np.float32(np.int32(mixed >> np.uint64(21) & lane)),
        scale * np.float32(np.int32(mixed >> np.uint64(42))),
    )
