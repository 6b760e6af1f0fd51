"""The numbers of the mining report: attributes by subject, the identity probe, its words."""

from __future__ import annotations

import numpy as np
import pytest

from urface.evaluation.attribute_rates import attribute_rates
from urface.evaluation.identity_probe import identity_probe


def test_unknown_images_do_not_count_and_undecodable_ones_are_wrong() -> None:
    labels = np.array([1, 0, np.nan, 0.7, 0.2, 1])
    said = np.array([0.9, 0.8, 0.9, 0.6, 0.1, np.nan])
    rates = attribute_rates("smiling", said, labels, np.array([0, 0, 1, 1, 2, 3]), commonest=True)
    assert (rates.accuracy.events, rates.accuracy.trials, rates.accuracy.failures) == (3, 5, 1)
    assert (rates.majority.events, rates.majority.trials) == (3, 5)
    assert rates.people == 4
    assert rates.auc is not None
    assert (rates.auc.num_genuine, rates.auc.num_impostor) == (2, 2)
    assert rates.auc.value == 0.75  # 0.9 and 0.6 against 0.8 and 0.1
    assert rates.gain is not None
    assert rates.gain.difference == 0


def test_an_attribute_that_all_have_gets_no_area_and_one_person_no_rate() -> None:
    ones = np.ones(4)
    rates = attribute_rates("male", ones, ones, np.arange(4), commonest=True)
    assert rates.auc is None
    assert rates.accuracy.value == 1.0
    alone = attribute_rates("male", ones, ones, np.zeros(4), commonest=True)
    assert alone.accuracy.format().startswith("withheld: known for 1 people")


def blobs(spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """30 people x 6 images: 20 features about a centre of each person's, on a shifted, tiny scale."""
    random = np.random.default_rng(seed)
    people = np.repeat(np.arange(30) + 100, 6)
    centres = random.normal(size=(30, 20))
    features = centres[people - 100] + spread * random.normal(size=(180, 20))
    return (1e-4 * features + 7).astype(np.float32), people


def test_the_probe_names_people_where_features_tell_and_guesses_where_they_do_not() -> None:
    features, people = blobs(spread=0.1)
    shown = np.tile([True, True, True, True, False, False], 30)
    probe = identity_probe(features[shown], people[shown], features[~shown], people[~shown])
    assert probe.accuracy.value is not None
    assert probe.accuracy.value > 0.95
    assert (probe.people, probe.trained, probe.tested, probe.chance) == (30, 120, 60, 1 / 30)
    noise = np.random.default_rng(1).normal(size=(180, 20)).astype(np.float32)
    blind = identity_probe(noise[shown], people[shown], noise[~shown], people[~shown])
    assert blind.accuracy.low is not None
    assert blind.accuracy.low <= 1 / 30


def test_the_probe_sees_through_scale_shift_and_a_dead_feature() -> None:
    features, people = blobs(spread=1.0)
    shown = np.tile([True, True, True, True, False, False], 30)
    factor = np.random.default_rng(2).uniform(0.1, 10, 20).astype(np.float32)
    other = np.concatenate([features * 1e4 * factor - 3, np.full((180, 1), 5.0)], axis=1)
    pair = [
        identity_probe(f[shown], people[shown], f[~shown], people[~shown])
        for f in (features, other.astype(np.float32))
    ]
    # Rounding of the tiny scale moves an image or two, not more.
    assert np.mean(pair[0].correct == pair[1].correct) > 0.95


def test_one_person_is_no_probe() -> None:
    probe = identity_probe(np.ones((2, 3)), np.zeros(2), np.ones((1, 3)), np.zeros(1))
    assert probe.accuracy.value is None
    assert "fewer than 2 people" in probe.accuracy.reason


@pytest.mark.parametrize("commonest", [True, False])
def test_the_commonest_answer_is_that_of_training(commonest: bool) -> None:
    labels = np.array([1.0, 1, 1, 0])
    rates = attribute_rates("young", labels, labels, np.arange(4), commonest=commonest)
    assert rates.majority.value == (0.75 if commonest else 0.25)
