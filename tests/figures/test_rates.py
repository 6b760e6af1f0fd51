"""Claims about the figures of error rates."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.special import expit, logit, ndtri

from urface.figures.rates import det_figure, discard_figure, reliability_figure, roc_figure
from urface.metrics.curves import Det, det
from urface.metrics.rejection import error_versus_discard
from urface.metrics.reliability import Reliability, reliability

from .layout import assert_readable, texts

NAMES = ("cosine score", "likelihood score")


@pytest.fixture(scope="module")
def curves() -> list[tuple[str, Det]]:
    rng = np.random.default_rng(1)
    same = np.arange(20_000) < 4000
    return [
        (name, det(rng.normal(size=20_000) + gap * same, same))
        for name, gap in zip(NAMES, (2.0, 3.0), strict=True)
    ]


@pytest.fixture(scope="module")
def diagrams() -> list[tuple[str, Reliability]]:
    rng = np.random.default_rng(2)
    stated = rng.uniform(0, 0.95, 2000)
    return [
        (
            name,
            reliability(
                stated, rng.random(2000) < expit(s * logit(stated)), np.arange(2000), 10,
                resamples=50,
            ),
        )
        for name, s in zip(NAMES, (1.0, 0.5), strict=True)
    ]  # fmt: skip


def lines(figure: Figure, axes: int = 0) -> list[np.ndarray]:
    named = [line for line in figure.axes[axes].lines if line.get_label() in NAMES]
    return [np.asarray(line.get_xydata()) for line in named]


def test_a_roc_shows_the_supported_rates_and_no_other(curves: list[tuple[str, Det]]) -> None:
    figure = roc_figure(curves)
    assert_readable(figure)
    for drawn, (_, curve) in zip(lines(figure), curves, strict=True):
        assert drawn[:, 0].min() == curve.fmr[curve.fmr > 0].min()
        np.testing.assert_allclose(drawn[:, 1], 100 * (1 - curve.fnmr[curve.fmr > 0]))


def test_two_normals_make_a_straight_line_in_a_det(curves: list[tuple[str, Det]]) -> None:
    figure = det_figure(curves)
    assert_readable(figure)
    for drawn, gap in zip(lines(figure), (2.0, 3.0), strict=True):
        middle = (drawn[:, 0] > ndtri(0.01)) & (drawn[:, 1] > ndtri(0.01))
        assert drawn[middle].sum(1) == pytest.approx(-gap, abs=0.25)


def test_error_versus_discard_is_drawn_with_its_counts_bounds() -> None:
    rng = np.random.default_rng(3)
    unsure = rng.uniform(0.1, 1, 2000)
    curve = error_versus_discard(rng.random(2000) < 0.2 * unsure, unsure)
    figure = discard_figure([(NAMES[0], curve)])
    assert_readable(figure)
    (drawn,) = lines(figure)
    assert drawn[:, 0].tolist() == pytest.approx([100 * share for share in curve.shares])
    assert drawn[:, 1].tolist() == pytest.approx([100 * (r.value or 0) for r in curve.rates])


def test_a_reliability_diagram_shows_bins_and_says_its_error(
    diagrams: list[tuple[str, Reliability]],
) -> None:
    figure = reliability_figure(diagrams)
    assert_readable(figure)
    said = " ".join(texts(figure))
    for number, (name, shown) in enumerate(diagrams):
        assert f"{name}\nECE {shown.ece:.3f}" in said
        held = shown.counts > 0
        points = figure.axes[2 * number].containers[0][0].get_xydata()
        np.testing.assert_allclose(points, np.stack([shown.probability, shown.share], 1)[held])
        bars = figure.axes[2 * number + 1].patches
        assert [bar.get_height() for bar in bars] == shown.counts.tolist()
