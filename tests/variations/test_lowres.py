"""Claims about blurring and shrinking, against slow plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from urface.variations.lowres import gaussian_blur, shrink


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def blurred_slowly(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums over a window, the image mirrored about its border pixels."""
    height, width = image.shape[:2]
    reach = len(weights) // 2

    def inside(place: int, size: int) -> int:
        place = abs(place)
        return 2 * (size - 1) - place if place >= size else place

    result = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    pixel = image[inside(row + dy, height), inside(column + dx, width)]
                    result[row, column] += weights[dy + reach] * weights[dx + reach] * pixel
    return result


@pytest.mark.parametrize("kernel", [11, 13])
def test_blur_is_a_gaussian_of_the_stated_deviation(kernel: int) -> None:
    sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8
    weights = np.exp(-((np.arange(kernel) - kernel // 2) ** 2) / (2 * sigma**2))
    image = picture(15, 18)
    slow = blurred_slowly(image, weights / weights.sum())
    np.testing.assert_allclose(gaussian_blur(image, kernel), slow, atol=1.5)


@pytest.mark.parametrize("row", [[1, 2, 1], [1, 4, 6, 4, 1]])
def test_the_smallest_kernels_are_binomial(row: list[int]) -> None:
    image = picture(9, 12)
    slow = blurred_slowly(image, np.array(row) / sum(row))
    np.testing.assert_allclose(gaussian_blur(image, len(row)), slow, atol=1.0)


def test_a_larger_kernel_blurs_more_and_none_writes_to_its_input() -> None:
    image = picture(40, 40)
    before = image.copy()
    spread = [float(gaussian_blur(image, kernel).std()) for kernel in (3, 5, 7, 9, 11)]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] < image.std()
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 70)])
def test_shrinking_keeps_size_and_mean_and_loses_detail(height: int, width: int) -> None:
    image = picture(height, width)
    small = shrink(image, 10)
    assert small.shape == image.shape
    assert small.dtype == np.uint8
    assert small.mean() == pytest.approx(image.mean(), abs=3)
    assert small.std() < image.std() / 2


def test_what_is_left_of_a_shrunk_face_are_the_means_of_its_areas() -> None:
    image = picture(32, 32)
    small = shrink(image, 8)
    for row in range(8):
        for column in range(8):
            area = image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].mean((0, 1))
            # Enlarged by 4, the four pixels around an area's centre are 3/4 of it and 1/4 of others.
            seen = small[4 * row + 1 : 4 * row + 3, 4 * column + 1 : 4 * column + 3].mean((0, 1))
            assert np.abs(seen - area).max() < 30
    flat = np.full((33, 47, 3), (10, 100, 200), np.uint8)
    np.testing.assert_array_equal(shrink(flat, 5), flat)


@pytest.mark.parametrize("pixels", [20, 21, 500])
def test_a_face_with_no_more_pixels_comes_back_as_it_is(pixels: int) -> None:
    image = picture(20, 30)
    assert shrink(image, pixels) is image
