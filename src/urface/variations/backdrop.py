"""What would be behind a head: the picture with the head taken out."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit

SHRUNK = 4  # what is filled in is smooth: a quarter of the pixels a side is enough
SIDES = 0.02  # weight of the picture's left and right edges where the head reaches them
COARSEST = 3  # pixels a side at which even a mask over all but an edge leaves none empty


def without_head(image: np.ndarray, outline: np.ndarray, margin: float) -> np.ndarray:
    """``image`` [H, W, 3] uint8 with the polygon ``outline`` [N, 2] (pixels) filled from around it.

    ``margin`` pixels more are filled. Each hole is filled by the mean colour around it at the finest
    scale that has one (pull-push, Gortler et al., SIGGRAPH 1996). A crop may show nothing but head:
    then its left and right edges are the likeliest to resemble what is behind.
    """
    height, width = image.shape[:2]
    shape = (max(2, width // SHRUNK), max(2, height // SHRUNK))
    scale = np.array(shape) / (width, height)
    hole = np.zeros(shape[::-1], np.uint8)
    # fillPoly takes whole pixels with a fraction of 4 bits, measured from their centres.
    points = np.minimum(np.maximum(outline * scale - 0.5, -1000), 1000) * 16
    cv2.fillPoly(hole, [np.rint(points).astype(np.int32)], 255, shift=4)
    reach = max(1, round(margin / SHRUNK))
    hole = cv2.dilate(hole, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    small = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
    weight = (hole == 0).astype(np.float32)
    sides = weight[:, :: shape[0] - 1]
    np.maximum(sides, np.float32(SIDES), out=sides)
    behind = fill(small, weight).astype(np.uint8)
    filled = cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR)
    soft = cv2.resize(hole, (width, height), interpolation=cv2.INTER_LINEAR)
    _blend(image, soft, filled)
    return filled


def fill(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``image`` [H, W, 3] as float32, smooth where ``weight`` [H, W] float32, 0..1, says it is not known.

    Something must be known.
    """
    levels = [_weighted(image, weight)]
    while max(levels[-1].shape[:2]) > COARSEST:
        levels.append(_halved(levels[-1]))
    filled: np.ndarray = _colours(levels.pop())
    while levels:
        filled = _refined(levels.pop(), filled)
    return filled


@njit(cache=True, nogil=True, error_model="numpy")
def _blend(image: np.ndarray, soft: np.ndarray, filled: np.ndarray) -> None:
    """Put ``image`` over ``filled``, both [H, W, 3] uint8, where ``soft`` [H, W] is not 255."""
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            share = np.int32(soft[y, x])
            if share < 255:
                for c in range(3):
                    mixed = filled[y, x, c] * share + image[y, x, c] * (255 - share)
                    filled[y, x, c] = (mixed + 127) // 255


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """[H, W, 4] float32: the colours times their weight, and the weight."""
    level = np.empty((*weight.shape, 4), np.float32)
    for y in range(weight.shape[0]):
        for x in range(weight.shape[1]):
            for c in range(3):
                level[y, x, c] = np.float32(image[y, x, c]) * weight[y, x]
            level[y, x, 3] = weight[y, x]
    return level


@njit(cache=True, nogil=True, error_model="numpy")
def _reflected(at: int, size: int) -> int:
    """A place folded back into 0..size - 1 at the outermost pixels (up to one size outside)."""
    if at < 0:
        at = -at
    if at >= size:
        at = 2 * (size - 1) - at
    return max(at, 0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _halved(level: np.ndarray) -> np.ndarray:
    """``level`` [H, W, 4] at half the side, rounded up, by the kernel (1 4 6 4 1) / 16 both ways."""
    height, width = level.shape[:2]
    rows, columns = (height + 1) // 2, (width + 1) // 2
    down = np.empty((rows, width, 4), np.float32)
    four, six, sixteenth = np.float32(4.0), np.float32(6.0), np.float32(1 / 16)
    for r in range(rows):
        y = 2 * r
        a, b = _reflected(y - 2, height), _reflected(y - 1, height)
        d, e = _reflected(y + 1, height), _reflected(y + 2, height)
        for x in range(width):
            for q in range(4):
                down[r, x, q] = sixteenth * (
                    level[a, x, q]
                    + level[e, x, q]
                    + four * (level[b, x, q] + level[d, x, q])
                    + six * level[y, x, q]
                )
    half = np.empty((rows, columns, 4), np.float32)
    for column in range(columns):
        x = 2 * column
        a, b = _reflected(x - 2, width), _reflected(x - 1, width)
        d, e = _reflected(x + 1, width), _reflected(x + 2, width)
        for r in range(rows):
            for q in range(4):
                half[r, column, q] = sixteenth * (
                    down[r, a, q]
                    + down[r, e, q]
                    + four * (down[r, b, q] + down[r, d, q])
                    + six * down[r, x, q]
                )
    return half


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _colours(level: np.ndarray) -> np.ndarray:
    """[H, W, 3]: the colours of ``level`` [H, W, 4] without their weight."""
    colours = np.empty((level.shape[0], level.shape[1], 3), np.float32)
    for y in range(level.shape[0]):
        for x in range(level.shape[1]):
            inverse = np.float32(1.0) / max(level[y, x, 3], np.float32(1e-6))
            for c in range(3):
                colours[y, x, c] = level[y, x, c] * inverse
    return colours


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _refined(level: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """The colours of ``level`` [H, W, 4], and those of ``coarse``, enlarged, as far as it knows none.

    Enlarged by the same kernel: even pixels are (1 6 1) / 8 of their neighbours, odd ones the mean of two.
    """
    height, width = level.shape[:2]
    high, wide = coarse.shape[:2]
    near, far, half, one = np.float32(0.75), np.float32(0.125), np.float32(0.5), np.float32(1.0)
    up = np.empty((height, wide, 3), np.float32)
    for y in range(height):
        b = y // 2
        a, d = _reflected(b - 1, high), min(b + 1, high - 1)
        for x in range(wide):
            for c in range(3):
                if y % 2:
                    up[y, x, c] = half * (coarse[b, x, c] + coarse[d, x, c])
                else:
                    up[y, x, c] = near * coarse[b, x, c] + far * (coarse[a, x, c] + coarse[d, x, c])
    colours = np.empty((height, width, 3), np.float32)
    for y in range(height):
        for x in range(width):
            b = x // 2
            a, d = _reflected(b - 1, wide), min(b + 1, wide - 1)
            known = level[y, x, 3]
            sure = min(known * np.float32(4.0), one)
            inverse = sure / max(known, np.float32(1e-6))
            for c in range(3):
                if x % 2:
                    under = half * (up[y, b, c] + up[y, d, c])
                else:
                    under = near * up[y, b, c] + far * (up[y, a, c] + up[y, d, c])
                colours[y, x, c] = level[y, x, c] * inverse + (one - sure) * under
    return colours
