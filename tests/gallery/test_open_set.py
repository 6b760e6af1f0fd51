"""Thresholds at a false-positive identification rate, and their refusal where the data say too little."""

from __future__ import annotations

import numpy as np
import pytest

from gallery.made import D, K, consent, faces_of, new_gallery, rule
from urface.gallery.open_set import Strangers, measured_rates, pair_rate, scaled, threshold_of
from urface.types import FaceEmbedding, UserError


@pytest.mark.parametrize("people", [1, 10, 1000, 1_000_000])
@pytest.mark.parametrize("fpir", [0.5, 0.01, 1e-4])
def test_the_rate_of_a_pair_is_that_of_independent_comparisons(fpir, people):
    fmr = pair_rate(fpir, people)
    np.testing.assert_allclose(-np.expm1(people * np.log1p(-fmr)), fpir, rtol=1e-9)


def test_a_simulation_of_independent_scores_has_the_rate_that_the_model_promises():
    draw = np.random.default_rng(0)
    people, fpir = 50, 0.1
    threshold = np.quantile(draw.standard_normal(10**6), 1 - pair_rate(fpir, people))
    best = draw.standard_normal((20_000, people)).max(1)
    assert abs((best >= threshold).mean() - fpir) < 0.01


def test_the_model_takes_the_largest_supported_rate_that_is_small_enough():
    decision = rule(5.0, smallest=1e-4)
    assert threshold_of(0.01, 100, decision, None).value == 5.0
    assert "at most 0.01 %" in threshold_of(0.01, 99, decision, None).basis
    with pytest.raises(UserError, match=r"support 0\.0001 at best"):
        threshold_of(0.01, 101, decision, None)
    with pytest.raises(UserError, match="no threshold"):
        threshold_of(0.01, 10, None, None)


@pytest.mark.parametrize("fpir", [0, 1, -0.1, 2, float("nan"), "x"])
def test_what_is_no_rate_is_refused(tmp_path, fpir):
    gallery = new_gallery(tmp_path / "g", 1, decision=rule())
    with pytest.raises(UserError, match="fpir"):
        gallery.identify(faces_of(1), fpir)


def test_a_measured_threshold_never_overshoots_and_needs_thirty_errors():
    draw = np.random.default_rng(1)
    for _ in range(200):
        scores = np.sort(draw.integers(0, 50, int(draw.integers(300, 3000))) / 7.0)
        strangers = Strangers(10, "likelihood", scores)
        for one in measured_rates(strangers, (0.3, 0.1, 0.03, 0.01)):
            if one.fpir * len(scores) < 30:
                assert one.threshold is None
                assert "not supported" in one.measured.reason
            elif one.threshold is not None:
                assert (scores >= one.threshold).mean() <= one.fpir
                assert one.measured.low <= one.measured.value <= one.measured.high


def test_a_gallery_that_grew_is_held_to_a_smaller_rate_and_one_that_shrank_to_the_same():
    assert scaled(0.1, 100, 100) == pytest.approx(0.1)
    assert scaled(0.1, 100, 50) == pytest.approx(0.1)
    assert scaled(0.1, 100, 1000) == pytest.approx(1 - 0.9**0.1)
    strangers = Strangers(100, "likelihood", np.arange(10_000.0))
    small = threshold_of(0.1, 100, None, strangers)
    grown = threshold_of(0.1, 1000, None, strangers)
    assert grown.value > small.value
    assert "scaled to 1,000" in grown.basis
    with pytest.raises(UserError, match="not supported"):
        threshold_of(0.01, 1000, None, strangers)


def test_strangers_of_one_gallery_are_named_as_often_as_was_measured(tmp_path):
    """Calibrated on some strangers, the rate holds for others."""
    gallery = new_gallery(tmp_path / "g", 20)

    def strangers(first: int, count: int) -> FaceEmbedding:
        draw = np.random.default_rng(first)
        mean = draw.standard_normal((count, K, D))
        mean /= np.linalg.norm(mean, axis=2, keepdims=True)
        spread = draw.uniform(0.3, 0.6, (count, K))
        return FaceEmbedding(mean.astype("f4"), np.full((count, K), 9, "f4"), spread.astype("f4"))

    rates = gallery.calibrate(strangers(1, 1000))
    assert [one.threshold is None for one in rates] == [False, False, True, True]
    answers = gallery.identify(strangers(2, 1000), 0.1)
    named = sum(answer.verdict == "known" for answer in answers)
    assert 60 <= named <= 140
    assert "measured on 1,000 strangers among 20 people" in gallery.threshold(0.1).basis
    with pytest.raises(UserError, match="not supported"):
        gallery.identify(strangers(2, 3), 0.01)
    gallery.enrol("one more", faces_of(70), consent())
    assert "scaled to 21" in gallery.threshold(0.1).basis


def test_strangers_are_searched_among_people(tmp_path):
    with pytest.raises(UserError, match="enrol these first"):
        new_gallery(tmp_path / "g").calibrate(faces_of(1))
