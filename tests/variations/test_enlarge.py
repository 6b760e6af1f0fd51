"""Claims about the picture at twice the side and how it is read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numba import njit

from urface.variations.enlarge import colour, enlarged


def bytes_of(big: np.ndarray) -> np.ndarray:
    """[H, W, 3] of packed pixels [H, W]."""
    return np.stack([big >> shift & 255 for shift in (0, 8, 16)], 2).astype(np.uint8)


@pytest.mark.parametrize("shape", [(28, 28), (17, 40), (1, 3)])
def test_a_picture_is_enlarged_as_opencv_does_it_cubically(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    size = (2 * shape[1], 2 * shape[0])
    wanted = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    assert np.abs(bytes_of(enlarged(image)).astype(int) - wanted).max() <= 1


@njit
def _read(picture: np.ndarray, places: np.ndarray, colours: np.ndarray) -> None:
    for n in range(len(places)):
        colours[n, 0], colours[n, 1], colours[n, 2] = colour(picture, places[n, 0], places[n, 1])


def test_colours_between_pixels_are_bilinear_and_fold_back_at_the_edges() -> None:
    random = np.random.default_rng(1)
    big = random.integers(0, 1 << 24, (9, 12)).astype(np.uint32)
    pixels = bytes_of(big).astype(float)
    places = np.concatenate([random.uniform(0.5, 8.5, (50, 2)), [[-1.5, 4.0], [13.0, 10.5]]])
    got = np.empty((len(places), 3), np.float32)
    _read(big, places.astype(np.float32), got)
    for (u, v), seen in zip(places, got, strict=True):
        x, y = abs(u - 0.5), abs(v - 0.5)
        x, y = (22 - x if x > 11 else x), (16 - y if y > 8 else y)
        left, top = min(int(x), 10), min(int(y), 7)
        a, b = x - left, y - top
        rows = (1 - b) * pixels[top] + b * pixels[top + 1]
        wanted = (1 - a) * rows[left] + a * rows[left + 1]
        # The place is rounded to 1/64 of a pixel either way.
        np.testing.assert_allclose(seen, wanted, atol=255 / 64)
