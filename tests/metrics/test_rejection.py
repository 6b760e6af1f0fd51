from __future__ import annotations

import json

import numpy as np
import pytest

from urface.metrics.intervals import clopper_pearson
from urface.metrics.rejection import SHARES, coefficient_of_variation, error_versus_discard
from urface.types import UserError


def slow_curve(errors: list[bool], uncertainty: list[float], shares: list[float]) -> list[float]:
    """Discards one trial at a time: the least sure, of equals one judged right."""
    rates = []
    for share in shares:
        kept = list(zip(uncertainty, errors, strict=True))
        for _ in range(int(share * len(errors) + 1e-9)):
            kept.remove(max(kept, key=lambda trial: (trial[0], not trial[1])))
        rates.append(sum(wrong for _, wrong in kept) / len(kept))
    return rates


def test_the_curve_equals_a_slow_loop_on_random_and_tied_sets() -> None:
    rng = np.random.default_rng(1)
    for turn in range(200):
        size = int(rng.integers(2, 40))
        uncertainty = rng.uniform(0.1, 2.0, size=size)
        if turn % 2:
            uncertainty = np.ceil(uncertainty * 2)
            uncertainty[0] = 9.0
        errors = rng.random(size) < uncertainty / 4
        result = error_versus_discard(errors, uncertainty)
        expected = slow_curve(errors.tolist(), uncertainty.tolist(), list(SHARES))
        assert [rate.value for rate in result.rates] == pytest.approx(expected, abs=1e-12)
        assert result.area == pytest.approx(np.trapezoid(expected, SHARES) / 0.5, abs=1e-12)
        assert result.rates[0].events == errors.sum()
        assert result.area_best <= result.area + 1e-12


def test_gain_is_1_where_errors_go_first_and_about_0_by_chance() -> None:
    rng = np.random.default_rng(2)
    errors = rng.random(5000) < 0.2
    told = error_versus_discard(errors, np.where(errors, 2.0, 1.0) + 0.1 * rng.random(5000))
    assert told.gain == pytest.approx(1.0, abs=1e-12)
    blind = error_versus_discard(errors, rng.uniform(1.0, 2.0, size=5000))
    assert blind.gain == pytest.approx(0.0, abs=0.1)
    fooled = error_versus_discard(errors, np.where(errors, 1.0, 2.0) + 0.1 * rng.random(5000))
    assert fooled.gain is not None
    assert fooled.gain < -0.2
    assert error_versus_discard(np.zeros(9, bool), np.arange(1.0, 10.0)).gain is None


def test_each_point_has_the_interval_of_the_trials_kept() -> None:
    rng = np.random.default_rng(3)
    result = error_versus_discard(
        rng.random(100) < 0.3, rng.uniform(1.0, 2.0, size=100), shares=(0.0, 0.29, 0.5)
    )
    assert [rate.trials for rate in result.rates] == [100, 71, 50]
    for rate in result.rates:
        assert (rate.low, rate.high) == clopper_pearson(rate.events, rate.trials)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_a_flat_uncertainty_is_refused_and_a_live_one_is_not() -> None:
    rng = np.random.default_rng(4)
    errors = rng.random(500) < 0.2
    noise = rng.normal(size=500)
    for flat in (np.full(500, 0.3), 0.3 + 0.002 * noise):
        with pytest.raises(UserError, match="the uncertainty is flat"):
            error_versus_discard(errors, flat)
        with pytest.raises(UserError, match="the uncertainty is flat"):
            error_versus_discard(errors, np.log(flat), log_scale=True)
    assert error_versus_discard(errors, 0.3 + 0.01 * noise).spread == pytest.approx(0.033, abs=5e-3)


def test_logarithms_spread_as_what_they_are_logarithms_of() -> None:
    values = np.random.default_rng(5).uniform(1.0, 2.0, size=50)
    spread = coefficient_of_variation(values)
    for shift in (0.0, -5000.0, 5000.0):
        logs = np.log(values) + shift
        assert coefficient_of_variation(logs, log_scale=True) == pytest.approx(spread, rel=1e-6)


def test_trials_without_an_uncertainty_are_counted_and_go_first() -> None:
    uncertainty = np.array([1.0, 2.0, np.nan, 3.0])
    errors = np.array([False, False, True, False])
    result = error_versus_discard(errors, uncertainty, shares=(0.0, 0.25))
    assert result.failures == 1
    assert [rate.events for rate in result.rates] == [1, 0]


def test_what_makes_no_curve_is_refused() -> None:
    errors, uncertainty = np.array([True, False]), np.array([1.0, 2.0])
    with pytest.raises(UserError, match="must be \\[N\\] each"):
        error_versus_discard(errors, np.ones(3))
    with pytest.raises(UserError, match="must be \\[N\\] each"):
        error_versus_discard(errors[:0], uncertainty[:0])
    for shares in ((0.0,), (0.1, 0.1), (-0.1, 0.5), (0.0, 1.0)):
        with pytest.raises(UserError, match="shares must be"):
            error_versus_discard(errors, uncertainty, shares)
    with pytest.raises(UserError, match="above 0"):
        error_versus_discard(errors, np.array([0.0, 1.0]))
    with pytest.raises(UserError, match="infinite"):
        error_versus_discard(errors, np.array([np.inf, 1.0]))
    with pytest.raises(UserError, match="no trial has"):
        error_versus_discard(errors, np.array([np.nan, np.nan]))
