"""Claims about blocks in black, against a slow plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from urface.variations.occlusion import occlude


@pytest.mark.parametrize(("height", "width", "grid"), [(112, 112, 7), (100, 110, 7), (9, 23, 4)])
def test_exactly_the_named_blocks_are_black_and_all_else_is_untouched(
    height: int, width: int, grid: int
) -> None:
    random = np.random.default_rng(height)
    image = random.integers(1, 256, (height, width, 3)).astype(np.uint8)
    before = image.copy()
    blocks = random.permutation(grid * grid)[: grid * 2]
    expected = image.copy()
    for row in range(height):
        for column in range(width):
            if (row * grid // height) * grid + column * grid // width in blocks:
                expected[row, column] = 0
    result = occlude(image, grid, blocks)
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(image, before)
    assert result.dtype == np.uint8


def test_blocks_are_numbered_row_by_row() -> None:
    image = np.full((21, 21, 3), 9, np.uint8)
    black = occlude(image, 7, np.array([8]))[:, :, 0] == 0
    assert sorted(zip(*np.nonzero(black), strict=True)) == [
        (r, c) for r in (3, 4, 5) for c in (3, 4, 5)
    ]


def test_a_side_that_is_no_multiple_is_cut_as_evenly_as_pixels_allow() -> None:
    image = np.ones((100, 100, 3), np.uint8)
    sizes = [int((occlude(image, 7, np.array([b])) == 0).sum()) // 3 for b in range(49)]
    assert sum(sizes) == 100 * 100
    assert set(sizes) == {14 * 14, 14 * 15, 15 * 15}


def test_no_block_and_all_blocks() -> None:
    image = np.full((10, 10, 3), 7, np.uint8)
    np.testing.assert_array_equal(occlude(image, 3, np.empty(0, np.int64)), image)
    assert not occlude(image, 3, np.arange(9)).any()
