"""Averaging over areas for sizes that faces come in: OpenCV's pixels to the bit, several times faster.

OpenCV is fast where a side divides evenly and slow elsewhere: 112 to 64 takes it nearly as long as decoding.
With p / q the ratio of the sides in lowest terms, each pixel is a sum of whole weights over p * p. Where p is
odd no such sum lies half way between two levels, so any order of adding rounds alike.
"""

from __future__ import annotations

import functools
from math import gcd

import numpy as np
from numba import njit

MOST = 31  # p above which sums of float32 would no longer be far enough from half way


def shrinks_evenly(side: int, size: int) -> bool:
    """Whether ``shrunk`` gives what OpenCV does for a square of ``side`` pixels brought to ``size``."""
    p, q = side // gcd(side, size), size // gcd(side, size)
    return q > 1 and p % 2 == 1 and p <= MOST and q < p


@functools.cache
def _taps(side: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First pixel [size], weights [size, most] and how many [size] of them, of each pixel of the result."""
    p, q = side // gcd(side, size), size // gcd(side, size)
    starts = [place * p // q for place in range(size)]
    counts = [-(-(place + 1) * p // q) - start for place, start in enumerate(starts)]
    weights = np.zeros((size, max(counts)), np.float32)
    for place, (start, count) in enumerate(zip(starts, counts, strict=True)):
        for tap in range(count):
            low, high = (
                max((start + tap) * q, place * p),
                min((start + tap + 1) * q, (place + 1) * p),
            )
            weights[place, tap] = high - low
    return np.array(starts), weights, np.array(counts)


def shrunk(image: np.ndarray, size: int) -> np.ndarray:
    """``image`` [S, S, 3] uint8, contiguous, averaged to [size, size, 3]; ``shrinks_evenly`` holds."""
    out = np.empty((size, size, 3), np.uint8)
    _shrink(out, image, *_taps(len(image), size))
    return out


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _shrink(
    out: np.ndarray, image: np.ndarray, starts: np.ndarray, weights: np.ndarray, counts: np.ndarray
) -> None:
    size, width = len(out), 3 * image.shape[1]
    flat = image.reshape(len(image), width)
    whole = np.float32(0)
    for tap in range(counts[0]):
        whole += weights[0, tap]
    unit, half = np.float32(1) / (whole * whole), np.float32(0.5)
    column = np.empty(width, np.float32)
    for y in range(size):
        row, weight = flat[starts[y]], weights[y, 0]
        for x in range(width):
            column[x] = weight * np.float32(row[x])
        for tap in range(1, counts[y]):
            row, weight = flat[starts[y] + tap], weights[y, tap]
            for x in range(width):
                column[x] += weight * np.float32(row[x])
        for x in range(size):
            place = 3 * starts[x]
            red = green = blue = np.float32(0)
            for tap in range(counts[x]):
                weight = weights[x, tap]
                red += weight * column[place]
                green += weight * column[place + 1]
                blue += weight * column[place + 2]
                place += 3
            out[y, x, 0] = np.uint8(np.int32(red * unit + half))
            out[y, x, 1] = np.uint8(np.int32(green * unit + half))
            out[y, x, 2] = np.uint8(np.int32(blue * unit + half))
