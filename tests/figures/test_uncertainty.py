"""Claims about figures 2 and 3."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from urface.figures.uncertainty import (
    distinct_texts,
    heat_square,
    shared_scale,
    uncertainty_figure,
)

from .layout import assert_readable, texts

R, C, K = 3, 5, 16
TITLES = ["clear", "blurred", "occluded", "turned", "extreme"]


@pytest.fixture(scope="module")
def variance() -> np.ndarray:
    return np.exp(np.random.default_rng(0).normal(-4, 0.5, (R, C, K)))


def drawn(variance: np.ndarray, titles: list[str]) -> Figure:
    rows, columns, _ = variance.shape
    images = [
        [np.full((8, 8, 3), r * columns + c, np.uint8) for c in range(columns)] for r in range(rows)
    ]
    return uncertainty_figure(images, variance, titles)


def test_each_face_stands_beside_its_own_uncertainties(variance: np.ndarray) -> None:
    pictures = [axes for axes in drawn(variance, TITLES).axes if axes.images]
    assert len(pictures) == 2 * R * C
    for number, (face, heat) in enumerate(zip(pictures[::2], pictures[1::2], strict=True)):
        assert np.asarray(face.images[0].get_array()).ravel()[0] == number
        expected = variance[number // C, number % C].reshape(4, 4)
        np.testing.assert_array_equal(np.asarray(heat.images[0].get_array()), expected)
        assert heat.get_position().x0 > face.get_position().x0
        assert heat.get_position().y0 == pytest.approx(face.get_position().y0)


def test_all_squares_share_the_scale_of_the_bar(variance: np.ndarray) -> None:
    figure = drawn(variance, TITLES)
    heats = [axes.images[0] for axes in figure.axes if axes.images][1::2]
    assert len({id(image.norm) for image in heats}) == 1
    norm = heats[0].norm
    low, high = np.quantile(variance, [0.01, 0.99])
    assert (norm.vmin, norm.vmax) == pytest.approx((low, high))
    bar = figure.axes[-1]
    assert bar.get_xlim() == pytest.approx((low, high))
    assert "sigma" in bar.get_xlabel()


def test_the_number_below_a_face_is_its_mean_log_variance(variance: np.ndarray) -> None:
    found = texts(drawn(variance, TITLES))
    mean = np.log(variance[1, 2]).mean()
    assert f"{mean:.2f}".replace("-", "\N{MINUS SIGN}") in found
    assert set(TITLES) <= set(found)


@pytest.mark.parametrize("spread", [0.0, 0.03, 0.5, 3.0])
def test_it_reads_whatever_the_spread(spread: float) -> None:
    variance = np.exp(np.random.default_rng(1).normal(-4, spread, (4, 6, K)))
    assert_readable(drawn(variance, []))


def test_k_that_is_no_square_leaves_empty_cells() -> None:
    square = heat_square(np.arange(1.0, 7.0))
    assert square.shape == (3, 3)
    assert np.isnan(square.ravel()[6:]).all()
    np.testing.assert_array_equal(square.ravel()[:6], np.arange(1.0, 7.0))


def test_equal_values_have_a_scale_too() -> None:
    norm = shared_scale(np.full((2, 2, 4), 0.5))
    assert norm.vmin is not None
    assert norm.vmax is not None
    assert norm.vmin < 0.5 < norm.vmax


def test_texts_of_the_bar_differ() -> None:
    assert distinct_texts([0.0161, 0.0167, 0.0172]) == ["0.0161", "0.0167", "0.0172"]
    assert distinct_texts([0.018, 0.02, 0.1]) == ["0.018", "0.020", "0.10"]
