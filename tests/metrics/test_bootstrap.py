from __future__ import annotations

import json

import numpy as np
import pytest

from urface.metrics.bootstrap import (
    bootstrap_interval_by_subject,
    paired_bootstrap_difference,
    rate_by_subject,
    resampled_means,
)
from urface.metrics.intervals import clopper_pearson
from urface.types import UserError


def slow_means(values: np.ndarray, pairs: np.ndarray, resamples: int, seed: int) -> list[float]:
    """One resample and one pair at a time, from the same draws."""
    names = sorted(set(pairs.ravel().tolist()))
    rng = np.random.default_rng(seed)
    means = []
    for draws in rng.integers(0, len(names), size=(resamples, len(names))):
        times = {name: int((draws == i).sum()) for i, name in enumerate(names)}
        total = weighted = 0.0
        for value, (a, b) in zip(values.tolist(), pairs.tolist(), strict=True):
            people = len(names)
            weight = times[a] if a == b else times[a] * times[b] * people / (people - 1)
            total += weight
            weighted += weight * value
        if total:
            means.append(weighted / total)
    return means


def test_resampled_means_equal_a_loop_over_pairs() -> None:
    rng = np.random.default_rng(1)
    for seed in range(20):
        pairs = rng.integers(0, 7, size=(40, 2))
        values = rng.normal(size=40)
        fast = resampled_means(values, pairs, resamples=30, seed=seed)
        assert fast == pytest.approx(slow_means(values, pairs, 30, seed), abs=1e-12)


def test_among_few_people_neither_kind_of_pair_weighs_more_than_it_does_in_the_data() -> None:
    """The share of genuine pairs is the same in the mean of many resamples as in the data."""
    people = 6
    pairs = np.array([(a, b) for a in range(people) for b in range(a, people)])
    genuine = (pairs[:, 0] == pairs[:, 1]).astype(float)
    weights = resampled_means(genuine, pairs, resamples=40_000, seed=0)
    # With S people all S^2 ordered pairs but the S of one person are of two: the share is a ratio, so
    # its mean is near and not at it.
    assert weights.mean() == pytest.approx(genuine.mean(), abs=0.02)
    assert np.median(weights) == pytest.approx(genuine.mean(), abs=0.02)


def test_one_subject_per_trial_is_a_pair_with_itself() -> None:
    rng = np.random.default_rng(2)
    subjects, values = rng.choice(["ann", "bob", "cy", "di"], size=50), rng.random(50)
    alone = resampled_means(values, subjects, resamples=40, seed=3)
    assert alone.tolist() == (
        resampled_means(values, np.stack([subjects, subjects], 1), resamples=40, seed=3).tolist()
    )


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(4)
    values, subjects = rng.random(200) < 0.9, rng.integers(0, 30, size=200)
    first = bootstrap_interval_by_subject(values, subjects, seed=5)
    assert first == bootstrap_interval_by_subject(values, subjects, seed=5)
    assert first != bootstrap_interval_by_subject(values, subjects, seed=6)
    assert first[0] < values.mean() < first[1]


def coverage(simulations: int, num_subjects: int, resamples: int) -> tuple[float, float]:
    """Share of intervals, by subject and by trial, that hold the true rate; people differ a lot."""
    rng = np.random.default_rng(7)
    by_subject = by_trial = 0
    for turn in range(simulations):
        chances = rng.beta(8.0, 2.0, size=num_subjects)  # their mean is 0.8
        subjects = np.repeat(np.arange(num_subjects), 10)
        right = rng.random(len(subjects)) < chances[subjects]
        low, high = bootstrap_interval_by_subject(right, subjects, resamples=resamples, seed=turn)
        by_subject += low <= 0.8 <= high
        low, high = clopper_pearson(int(right.sum()), len(right))
        by_trial += low <= 0.8 <= high
    return by_subject / simulations, by_trial / simulations


def test_the_interval_by_subject_covers_and_the_one_by_trial_does_not() -> None:
    by_subject, by_trial = coverage(simulations=400, num_subjects=80, resamples=400)
    assert 0.92 <= by_subject <= 0.98
    assert by_trial < 0.90  # the control: it takes ten images of one person for ten people


@pytest.mark.slow
def test_coverage_by_subject_is_93_to_97_percent_in_2000_simulations() -> None:
    by_subject, _ = coverage(simulations=2000, num_subjects=150, resamples=1000)
    assert 0.93 <= by_subject <= 0.97


def test_the_interval_for_pairs_of_people_covers() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for turn in range(200):
        ease = rng.normal(size=60)
        pairs = rng.integers(0, 60, size=(800, 2))
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        score = (ease[pairs[:, 0]] + ease[pairs[:, 1]]) / 2 + rng.normal(size=len(pairs))
        low, high = bootstrap_interval_by_subject(score > 0, pairs, resamples=300, seed=turn)
        inside += low <= 0.5 <= high
    assert inside / 200 >= 0.92


def test_a_rate_without_any_error_is_as_sure_as_its_subjects() -> None:
    subjects = np.repeat(np.arange(40), 25)
    perfect = rate_by_subject(np.ones(1000, bool), subjects, failures=2)
    assert (perfect.low, perfect.high) == clopper_pearson(40, 40)
    assert (perfect.events, perfect.trials, perfect.failures) == (1000, 1000, 2)
    hopeless = rate_by_subject(np.zeros(1000, bool), subjects)
    assert (hopeless.low, hopeless.high) == clopper_pearson(0, 40)


def test_a_rate_by_subject_carries_its_counts() -> None:
    rng = np.random.default_rng(9)
    right, subjects = rng.random(300) < 0.7, rng.integers(0, 30, size=300)
    result = rate_by_subject(right, subjects, seed=1)
    assert (result.events, result.trials) == (int(right.sum()), 300)
    assert (result.low, result.high) == bootstrap_interval_by_subject(right, subjects, seed=1)


def test_a_clear_difference_is_found_and_no_difference_is_not() -> None:
    rng = np.random.default_rng(10)
    subjects = np.repeat(np.arange(60), 10)
    hard = rng.random(600)
    better, worse = hard < 0.9, hard < 0.8
    result = paired_bootstrap_difference(better, worse, subjects, seed=11)
    assert result.difference == pytest.approx(better.mean() - worse.mean(), abs=1e-12)
    assert 0 < result.low < result.difference < result.high
    assert result.p == pytest.approx(2 / 1001)
    assert (result.only_b, result.trials, result.subjects) == (0, 600, 60)
    assert result.only_a == (better & ~worse).sum()
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
    mirrored = paired_bootstrap_difference(worse, better, subjects, seed=11)
    assert (mirrored.low, mirrored.high) == pytest.approx((-result.high, -result.low))
    same = paired_bootstrap_difference(better, better, subjects, seed=11)
    assert (same.difference, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)


def test_p_is_below_5_percent_about_as_often_as_it_should_be_by_chance() -> None:
    rng = np.random.default_rng(12)
    subjects = np.repeat(np.arange(80), 5)
    found = 0
    for turn in range(400):
        a, b = rng.random((2, 400)) < 0.8
        found += paired_bootstrap_difference(a, b, subjects, turn, resamples=300).p < 0.05
    assert 0.02 <= found / 400 <= 0.085


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(UserError, match="two of them or more"):
        bootstrap_interval_by_subject(np.ones(3), np.zeros(3, int))
    with pytest.raises(UserError, match="values must be"):
        bootstrap_interval_by_subject(np.ones(3), np.zeros(4, int))
    with pytest.raises(UserError, match="finite"):
        bootstrap_interval_by_subject(np.array([1.0, np.nan]), np.arange(2))
    with pytest.raises(UserError, match="resamples"):
        bootstrap_interval_by_subject(np.ones(2), np.arange(2), resamples=0)
    with pytest.raises(UserError, match="level"):
        bootstrap_interval_by_subject(np.ones(2), np.arange(2), level=95)
    with pytest.raises(UserError, match="same trials"):
        paired_bootstrap_difference(np.ones(2, bool), np.ones(3, bool), np.arange(2))


def test_resamples_without_any_trial_are_left_out() -> None:
    # Of two people, half of the resamples draw one of them twice and so no pair of both.
    pair = np.array([[0, 1]])
    means = resampled_means(np.array([0.25]), pair, resamples=200, seed=2)
    assert 60 < len(means) < 140
    assert set(means.tolist()) == {0.25}
    barren = next(s for s in range(99) if len(set(np.random.default_rng(s).integers(0, 2, 2))) == 1)
    with pytest.raises(UserError, match="no resample of them holds a trial"):
        resampled_means(np.array([0.25]), pair, resamples=1, seed=barren)
