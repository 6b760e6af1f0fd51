"""The area under the ROC with an interval that draws people."""

from __future__ import annotations

import numpy as np
import pytest

from urface.metrics.bootstrap import auc_by_subject, draw_subjects
from urface.metrics.curves import auc
from urface.types import UserError


def trials(people: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.repeat(random.random(people) < 0.4, each)
    scores = (
        truth + np.repeat(random.normal(0, 1, people), each) + random.normal(0, 0.3, len(truth))
    )
    return np.round(scores, 1), truth, np.repeat(np.arange(people), each)


def loop(scores, truth, subjects, drawn) -> float:
    """Every couple of trials, as often as both their people were drawn."""
    won = total = 0.0
    for i in np.flatnonzero(truth):
        for j in np.flatnonzero(~truth):
            weight = drawn[subjects[i]] * drawn[subjects[j]]
            total += weight
            won += weight * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
    return won / total


def test_bounds_are_percentiles_of_the_loop_over_couples() -> None:
    scores, truth, subjects = trials(12, 3)
    got = auc_by_subject(scores, truth, subjects, resamples=40, seed=7)
    drawn = draw_subjects(np.random.default_rng(7), 40, 12)
    areas = [loop(scores, truth, subjects, row) for row in drawn]
    assert got.value == pytest.approx(loop(scores, truth, subjects, np.ones(12)), rel=1e-12)
    assert (got.low, got.high) == pytest.approx(tuple(np.quantile(areas, [0.025, 0.975])), rel=1e-9)


def test_interval_widens_where_a_person_has_several_alike_trials() -> None:
    scores, truth, subjects = trials(60, 8)
    by_subject, by_trial = auc_by_subject(scores, truth, subjects), auc(scores, truth)
    assert by_subject.value == by_trial.value
    assert by_subject.low < by_subject.value < by_subject.high
    assert by_subject.high - by_subject.low > 1.5 * (by_trial.high - by_trial.low)


def test_perfect_order_still_has_an_interval_that_the_rarer_kinds_people_set() -> None:
    truth = np.array([True, True, True, False, False, False])
    found = auc_by_subject(truth.astype(float), truth, np.array([0, 0, 1, 2, 3, 4]))
    assert found.value == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 2))
    assert found.high == 1.0


def test_one_kind_or_one_person_or_a_missing_score_is_refused() -> None:
    scores = np.array([0.1, 0.2, 0.3])
    with pytest.raises(UserError):
        auc_by_subject(scores, np.ones(3, bool), np.arange(3))
    with pytest.raises(UserError, match="two of them"):
        auc_by_subject(scores, np.array([True, False, True]), np.zeros(3))
    with pytest.raises(UserError, match="finite"):
        auc_by_subject(np.array([0.1, np.nan, 0.2]), np.array([True, False, True]), np.arange(3))
