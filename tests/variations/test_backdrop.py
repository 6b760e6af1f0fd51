"""Claims about the picture without its head."""

from __future__ import annotations

import numpy as np

from urface.variations.backdrop import fill, without_head

BOX = np.array([[30.0, 20.0], [80.0, 20.0], [80.0, 112.0], [30.0, 112.0]])


def test_a_head_before_an_even_wall_leaves_the_wall() -> None:
    picture = np.full((112, 112, 3), (200, 150, 90), np.uint8)
    picture[24:112, 34:76] = 10
    empty = without_head(picture, BOX, 4.0)
    assert np.abs(empty.astype(int) - (200, 150, 90)).max() <= 3


def test_far_from_the_head_the_picture_stays_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    empty = without_head(picture, BOX, 4.0)
    # blendLinear divides by weights that sum to 1 but for rounding
    assert np.abs(empty[:, :16].astype(int) - picture[:, :16]).max() <= 1
    assert np.abs(empty[:, 96:].astype(int) - picture[:, 96:]).max() <= 1


def test_where_nothing_but_head_shows_the_sides_are_what_is_left() -> None:
    picture = np.full((112, 112, 3), 20, np.uint8)
    picture[:, :4], picture[:, -4:] = 220, 220
    whole = np.array([[-40.0, -40.0], [150.0, -40.0], [150.0, 150.0], [-40.0, 150.0]])
    assert without_head(picture, whole, 4.0).min() > 200


def test_a_fill_lies_between_what_is_known_and_keeps_it() -> None:
    random = np.random.default_rng(1)
    picture = random.integers(60, 180, (28, 28, 3)).astype(np.uint8)
    weight = (random.random((28, 28)) < 0.3).astype(np.float32)
    filled = fill(picture, weight)
    known = weight == 1
    np.testing.assert_allclose(filled[known], picture[known], atol=60)
    assert filled.min() >= 59
    assert filled.max() <= 181
