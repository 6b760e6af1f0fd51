"""Claims about shrinking by areas: OpenCV's pixels to the bit, for every size that it is used for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from urface.data.decode import resize_image
from urface.data.shrink import shrinks_evenly, shrunk

SIZES = [(112, 96), (112, 80), (112, 64), (112, 48), (112, 32), (100, 64), (93, 48)]


def exact(image: np.ndarray, size: int) -> np.ndarray:
    """Each pixel as the mean of the area that it covers, in whole numbers, rounded."""
    side = len(image)
    cover = np.zeros((size, side), np.int64)  # in units of 1 / size of a pixel
    for place in range(size):
        for pixel in range(side):
            low, high = max(pixel * size, place * side), min((pixel + 1) * size, (place + 1) * side)
            cover[place, pixel] = max(0, high - low)
    rows = np.tensordot(cover, image.astype(np.int64), 1)
    total = np.einsum("xb,ybc->yxc", cover, rows)
    return ((2 * total + side * side) // (2 * side * side)).astype(np.uint8)


@pytest.mark.parametrize(("side", "size"), SIZES)
def test_it_is_opencvs_and_the_exact_mean_to_the_bit_where_it_is_used(side: int, size: int) -> None:
    assert shrinks_evenly(side, size)
    random = np.random.default_rng(size)
    images = [random.integers(0, 256, (side, side, 3), np.uint8) for _ in range(5)]
    images += [(images[0] > 127).astype(np.uint8) * 255, np.full_like(images[0], 255)]
    for image in images:
        got = shrunk(image, size)
        np.testing.assert_array_equal(got, exact(image, size))
        theirs = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(got, theirs)
        np.testing.assert_array_equal(resize_image(image, size), theirs)


def test_it_is_not_used_where_a_sum_may_lie_half_way_or_nothing_shrinks_evenly() -> None:
    for side, size in ((112, 100), (112, 56), (64, 112), (112, 112), (250, 112), (113, 112)):
        assert not shrinks_evenly(side, size)
    view = np.random.default_rng(0).integers(0, 256, (120, 112, 3), np.uint8)[4:116]
    np.testing.assert_array_equal(
        resize_image(view[:, ::-1], 64), resize_image(np.ascontiguousarray(view[:, ::-1]), 64)
    )
