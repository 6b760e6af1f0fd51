"""Claims about how sure error against discard is."""

from __future__ import annotations

import numpy as np
import pytest

from urface.metrics.bootstrap import draw_subjects
from urface.metrics.discard_interval import discard_interval_by_subject
from urface.metrics.rejection import error_versus_discard
from urface.types import UserError

SHARES = (0.0, 0.2, 0.5)


def slow(
    errors: np.ndarray, unsure: np.ndarray, weights: np.ndarray
) -> tuple[float, float | None] | None:
    """Area and gain, the trials taken one by one, each for as much as it weighs."""
    total, wrong = float(weights.sum()), float(weights @ errors)
    if not total:
        return None
    order = sorted(range(len(errors)), key=lambda i: (unsure[i], not errors[i]))
    heights, best = [], []
    for share in SHARES:
        kept = room = total * (1 - share)
        false = 0.0
        for i in order:
            taken = min(float(weights[i]), room)
            room -= taken
            false += taken * errors[i]
        heights.append(false / kept)
        best.append(max(0.0, wrong - (total - kept)) / kept)
    area, least = (float(np.trapezoid(h, SHARES) / 0.5) for h in (heights, best))
    blind = wrong / total
    return area, (blind - area) / (blind - least) if blind - least > 1e-12 else None


@pytest.mark.parametrize("pairs", [False, True])
def test_the_bounds_are_those_of_a_slow_loop_over_the_same_draws(pairs: bool) -> None:
    rng = np.random.default_rng(3)
    people = rng.integers(0, 6, (30, 2))
    unsure = np.ceil(rng.uniform(0, 8, 30))
    errors = rng.random(30) < unsure / 12
    given = people if pairs else people[:, 0]
    found = discard_interval_by_subject(errors, unsure, given, SHARES, resamples=60, seed=4)
    areas, gains = [], []
    for counts in draw_subjects(np.random.default_rng(4), 60, len(np.unique(given))).astype(int):
        weights = counts[people[:, 0]]
        if pairs:
            two = people[:, 0] != people[:, 1]
            weights = np.where(two, weights * counts[people[:, 1]] * 6 / 5, weights)
        one = slow(errors, unsure, weights)
        if one is not None:
            areas.append(one[0])
            gains += [one[1]] if one[1] is not None else []
    tails = [0.025, 0.975]
    assert [found.area_low, found.area_high] == pytest.approx(np.quantile(areas, tails), abs=1e-9)
    assert [found.gain_low, found.gain_high] == pytest.approx(np.quantile(gains, tails), abs=1e-9)
    assert found.subjects == len(np.unique(given))


def test_the_interval_holds_the_curve_and_tells_a_useful_uncertainty_from_none() -> None:
    rng = np.random.default_rng(5)
    people = rng.integers(0, 100, 2000)
    errors = rng.random(2000) < 0.2
    for unsure, useful in ((1.0 + errors + rng.random(2000), True), (1 + rng.random(2000), False)):
        curve = error_versus_discard(errors, unsure)
        found = discard_interval_by_subject(errors, unsure, people, resamples=200)
        assert found.area_low <= curve.area <= found.area_high
        assert (found.gain_low > 0) is useful


def test_pairs_of_few_people_do_not_shift_the_bounds_off_the_curve() -> None:
    rng = np.random.default_rng(6)
    left, right = np.triu_indices(100, 1)
    people = np.stack([left % 10, right % 10], 1)
    same = people[:, 0] == people[:, 1]
    errors = same & (rng.random(len(same)) < 0.9)  # only pairs of one person go wrong
    unsure = rng.uniform(1, 2, len(same))
    curve = error_versus_discard(errors, unsure)
    found = discard_interval_by_subject(errors, unsure, people)
    assert found.area_low < curve.area < found.area_high


def test_a_set_without_errors_has_no_gain_and_one_person_no_interval() -> None:
    none = discard_interval_by_subject(np.zeros(9, bool), np.arange(1.0, 10), np.arange(9) % 3)
    assert (none.area_high, none.gain_low, none.gain_high) == (0.0, None, None)
    with pytest.raises(UserError, match="needs two"):
        discard_interval_by_subject(np.zeros(9, bool), np.arange(1.0, 10), np.zeros(9))
    with pytest.raises(UserError, match="must be"):
        discard_interval_by_subject(np.zeros(9, bool), np.arange(1.0, 10), np.zeros(8))
