from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from urface.metrics.calibration import fit_calibration
from urface.metrics.intervals import clopper_pearson
from urface.metrics.reliability import reliability
from urface.types import UserError


def draw(rng: np.random.Generator, turn: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, some full of ties or of one kind, and what was true."""
    count = int(rng.integers(2, 6 if turn % 5 == 0 else 80))
    probability = rng.beta(0.5, 0.5, count)
    if turn % 3 == 1:
        probability = np.round(probability, 1)  # on the edges of ten bins, too
    if turn % 7 == 2:
        probability = np.full(count, 0.7)
    truth = rng.random(count) < (probability if turn % 11 else 0.0)
    return probability, truth


def test_brier_and_the_diagram_equal_sklearn() -> None:
    rng = np.random.default_rng(1)
    for turn in range(400):
        probability, truth = draw(rng, turn)
        result = reliability(probability, truth, np.arange(len(truth)), bins=7, resamples=2)
        brier = brier_score_loss(truth, probability, pos_label=True)
        assert result.brier == pytest.approx(brier, abs=1e-12)
        if truth.any() and not truth.all():
            # Their bins hold the upper edge, ours the lower: draw no value on one.
            inside = ~np.isin(np.round(probability * 7, 9) % 1, [0.0])
            if inside.all():
                share, stated = calibration_curve(truth, probability, n_bins=7)
                held = result.counts > 0
                assert np.abs(result.share[held] - share).max() <= 1e-12
                assert np.abs(result.probability[held] - stated).max() <= 1e-12


def test_the_expected_calibration_error_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(2)
    for turn in range(300):
        probability, truth = draw(rng, turn)
        result = reliability(probability, truth, np.arange(len(truth)), bins=10, resamples=2)
        ece = 0.0
        for one in range(10):
            mine = [
                (p, t)
                for p, t in zip(probability.tolist(), truth.tolist(), strict=True)
                if result.edges[one] <= p and (p < result.edges[one + 1] or one == 9)
            ]
            assert len(mine) == result.counts[one]
            if not mine:
                assert np.isnan(result.low[one])
                continue
            stated, true = np.mean([p for p, _ in mine]), np.mean([t for _, t in mine])
            ece += len(mine) / len(truth) * abs(true - stated)
            bounds = clopper_pearson(sum(t for _, t in mine), len(mine))
            assert (result.low[one], result.high[one]) == bounds
        assert result.ece == pytest.approx(ece, abs=1e-12)
        assert result.ece_low <= result.ece <= result.ece_high
        assert result.brier_low <= result.brier_high
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False))


def test_bins_of_equal_count_hold_equally_many() -> None:
    rng = np.random.default_rng(3)
    probability = rng.beta(0.3, 3, 1000)
    truth = rng.random(1000) < probability
    result = reliability(probability, truth, np.arange(1000), by="count", bins=10, resamples=10)
    assert set(result.counts.tolist()) == {100}
    alike = reliability(np.full(9, 0.5), truth[:9], np.arange(9), by="count", resamples=10)
    assert alike.counts.tolist() == [9]


def test_a_trial_without_a_probability_is_counted_and_left_out() -> None:
    result = reliability(
        np.array([0.2, np.nan, 0.9]), np.array([False, True, True]), np.arange(3), resamples=10
    )
    assert (result.trials, result.failures, result.counts.sum()) == (2, 1, 2)


def test_calibrating_on_one_set_mends_another() -> None:
    rng = np.random.default_rng(4)
    same = rng.random(8000) < 0.5
    scores = rng.normal(size=8000) + 2.0 * same
    fit = fit_calibration(scores[:4000], same[:4000])
    people = rng.integers(0, 500, (4000, 2))
    good = reliability(fit.probability(scores[4000:]), same[4000:], people)
    crude = reliability(expit(4 * scores[4000:] - 6), same[4000:], people)
    assert good.ece_low == 0.0
    assert good.ece_high < crude.ece_low
    assert good.brier_high < crude.brier


def covered(turns: int, seed: int) -> dict[str, float]:
    """Shares of simulations whose intervals hold the truth: two trials of each of 150 people."""
    rng = np.random.default_rng(seed)
    grid = (np.arange(60_000) + 0.5) / 60_000
    bins = (grid * 10).astype(int)
    shares: dict[str, float] = {}
    for name, slope in (("true", 1.0), ("bold", 0.5)):
        right = expit(slope * logit(grid))
        ece = np.abs(np.bincount(bins, right - grid)).sum() / len(grid)
        brier = float((right * (1 - grid) ** 2 + (1 - right) * grid**2).mean())
        held = np.zeros(2)
        for _ in range(turns):
            stated = rng.random(300)
            truth = rng.random(300) < expit(slope * logit(stated))
            result = reliability(stated, truth, np.arange(300) // 2, bins=10, resamples=150)
            held += (
                result.ece_low <= ece + 1e-9 and ece <= result.ece_high,
                result.brier_low <= brier <= result.brier_high,
            )
        shares[f"ece {name}"], shares[f"brier {name}"] = held / turns
    return shares


def test_the_intervals_cover_the_truth() -> None:
    shares = covered(60, seed=5)
    assert min(shares.values()) >= 0.85, shares


@pytest.mark.slow
def test_the_intervals_cover_the_truth_in_2000_simulations() -> None:
    shares = covered(2000, seed=6)
    assert all(0.93 <= shares[f"brier {name}"] <= 0.97 for name in ("true", "bold")), shares
    assert all(shares[f"ece {name}"] >= 0.93 for name in ("true", "bold")), shares


def test_what_is_no_probability_is_refused() -> None:
    truth = np.array([True, False])
    with pytest.raises(UserError, match="from 0 to 1"):
        reliability(np.array([0.5, 1.1]), truth, np.arange(2))
    with pytest.raises(UserError, match="no trial has"):
        reliability(np.full(2, np.nan), truth, np.arange(2))
    with pytest.raises(UserError, match="subjects must be"):
        reliability(np.full(2, 0.5), truth, np.arange(3))
    with pytest.raises(UserError, match="1 bin or more"):
        reliability(np.full(2, 0.5), truth, np.arange(2), bins=0)
