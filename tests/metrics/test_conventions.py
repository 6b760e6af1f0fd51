from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from sklearn.metrics import roc_curve
from sklearn.model_selection import KFold
from sklearn.preprocessing import normalize

from urface.metrics.conventions import (
    kfold_accuracy_by_grid,
    squared_distances,
    tar_at_nearest_far,
    tpir_by_pooled_pairs,
    tpir_by_probe_maxima,
)
from urface.metrics.identification import search_outcomes, tpir_at_fpir
from urface.metrics.verification import kfold_accuracy, tar_at_far
from urface.types import UserError

Sets = Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]


def test_the_nearest_far_is_read_off_the_curve_of_sklearn(random_sets: Sets) -> None:
    rng = np.random.default_rng(1)
    for scores, same in random_sets(1000, seed=1, failures=False):
        target = float(rng.choice([1e-4, 0.01, 0.1, 0.25, 0.5]))
        fpr, tpr, _ = roc_curve(same, scores)
        points = sorted(zip(np.abs(fpr - target), -fpr, -tpr, strict=True))
        result = tar_at_nearest_far(scores, same, target)
        assert result.far.value == pytest.approx(-points[0][1], abs=1e-12)
        assert result.tar.value == pytest.approx(-points[0][2], abs=1e-12)
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False))


def test_the_nearest_far_may_overshoot_and_then_flatters() -> None:
    same = np.arange(100) < 50
    scores = np.where(same, np.arange(100) / 100, 0.0)
    scores[50:56] = 0.4  # six of fifty impostors tie: FAR is 0 or 0.12
    nearest, at_most = (rule(scores, same, 0.1) for rule in (tar_at_nearest_far, tar_at_far))
    assert nearest.overshoots
    assert "50 impostor pairs allow 5 errors" in nearest.reason
    assert not at_most.supported
    at_most = tar_at_far(scores, same, 0.1, min_errors=1)
    assert nearest.tar.events > at_most.tar.events


def slow_grid_accuracy(distances: np.ndarray, same: np.ndarray, folds: int) -> list[float]:
    """One threshold after the other, the folds as scikit-learn cuts them."""
    grid = np.arange(0, 4, 0.01)
    accuracy = []
    for others, held_out in KFold(folds, shuffle=False).split(distances):
        right = [int(((distances[others] < t) == same[others]).sum()) for t in grid]
        best = grid[right.index(max(right))]
        accuracy.append(float(((distances[held_out] < best) == same[held_out]).mean()))
    return accuracy


def test_accuracy_by_the_grid_equals_a_slow_search() -> None:
    rng = np.random.default_rng(2)
    for turn in range(25):
        count, folds = int(rng.integers(20, 90)), int(rng.integers(2, 11))
        same = rng.random(count) < 0.5
        distances = np.clip(rng.normal(1.4, 0.4, count) - 0.5 * same, 0, 4)
        if turn % 3 == 1:
            distances = np.round(distances, 2)  # on the grid, where < and <= differ
        if turn % 4 == 2:
            distances[rng.random(count) < 0.1] = np.nan
        result = kfold_accuracy_by_grid(distances, same, folds)
        expected = slow_grid_accuracy(distances, same, folds)
        assert result.per_fold == pytest.approx(expected, abs=1e-15)
        assert result.mean == pytest.approx(np.mean(expected), abs=1e-15)
        assert result.std == pytest.approx(np.std(expected), abs=1e-15)
        assert result.pooled.failures == np.isnan(distances).sum()
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False))


def test_folds_may_be_named_pair_by_pair() -> None:
    rng = np.random.default_rng(3)
    same = np.arange(60) % 2 == 0
    distances = rng.uniform(0, 3, 60) - 0.5 * same
    by_number = kfold_accuracy_by_grid(distances, same, 6)
    assert kfold_accuracy_by_grid(distances, same, np.repeat(list("abcdef"), 10)) == by_number


def test_squared_distances_are_those_of_normalised_features() -> None:
    rng = np.random.default_rng(4)
    left, right = rng.normal(size=(2, 30, 8))
    expected = ((normalize(left) - normalize(right)) ** 2).sum(1)
    assert np.abs(squared_distances(left, right) - expected).max() <= 1e-12
    left[3] = 0
    right[4, 2] = np.nan
    assert np.isnan(squared_distances(left, right)).nonzero()[0].tolist() == [3, 4]


def test_the_grid_takes_the_lowest_best_threshold_and_leaves_genuine_pairs_no_room() -> None:
    """Classes far apart: the middle of the gap makes no error, its lower end does on held-out folds."""
    rng = np.random.default_rng(5)
    left = rng.normal(size=(200, 32))
    same = np.arange(200) % 2 == 0
    right = np.where(same[:, None], left + 0.3 * rng.normal(size=left.shape), left[::-1])
    distances = squared_distances(left, right)
    ours = kfold_accuracy(1 - distances / 2, same, np.repeat(np.arange(10), 20))
    theirs = kfold_accuracy_by_grid(distances, same)
    assert ours.mean == 1.0
    assert 0.99 <= theirs.mean < 1.0
    middles = 2 - 2 * np.array(ours.thresholds)  # squared distances from cosines, halved above
    assert (np.array(theirs.thresholds) < middles).all()


def draw_galleries(
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Scores of probes of people 0..11 to a gallery of each; the two halves of the gallery's places."""
    probes = np.concatenate([np.arange(12), rng.integers(0, 12, int(rng.integers(5, 40)))])
    scores = rng.normal(size=(len(probes), 12)) + 2.0 * (probes[:, None] == np.arange(12))
    if rng.random() < 0.3:
        scores = np.round(scores)
    return scores, probes, (np.arange(6), np.arange(6, 12))


def test_pooled_pairs_are_insightfaces_first_definition() -> None:
    rng = np.random.default_rng(6)
    for _ in range(300):
        scores, probes, _ = draw_galleries(rng)
        fpir = float(rng.choice([0.01, 0.1, 0.5]))
        of_others = sorted(
            (s for row, p in zip(scores.tolist(), probes, strict=True)
             for place, s in enumerate(row) if place != p),
            reverse=True,
        )  # fmt: skip
        threshold = of_others[math.ceil(len(probes) * fpir) - 1]
        blocks = (scores[row : row + 7] for row in range(0, len(scores), 7))
        result = tpir_by_pooled_pairs(blocks, probes, np.arange(12), fpir)
        assert result.threshold == threshold
        assert result.tpir.events == sum(scores[i, p] > threshold for i, p in enumerate(probes))
        assert result.alarms.events == sum(score > threshold for score in of_others)
        assert result.alarms.trials == 11 * len(probes)
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False))


def test_probe_maxima_are_insightfaces_second_definition() -> None:
    rng = np.random.default_rng(7)
    for _ in range(300):
        scores, probes, halves = draw_galleries(rng)
        fpir = float(rng.choice([0.01, 0.1, 0.5]))
        for half in halves:
            mated = np.isin(probes, half)
            best = np.sort(scores[~mated][:, half].max(1))[::-1]
            threshold = best[max(int(len(best) * fpir) - 1, 0)]
            found = 0
            for row, probe in zip(scores[mated].tolist(), probes[mated].tolist(), strict=True):
                others = max(row[place] for place in half if place != probe)
                found += row[probe] > others and row[probe] > threshold
            result = tpir_by_probe_maxima(search_outcomes(scores[:, half], probes, half), fpir)
            assert result.threshold == threshold
            assert (result.tpir.events, result.tpir.trials) == (found, mated.sum())
            assert result.alarms.events <= fpir * result.alarms.trials


def test_the_second_definition_is_at_most_a_step_below_ours() -> None:
    rng = np.random.default_rng(8)
    ids = np.concatenate([np.arange(2000), np.arange(5000, 7000)])
    scores = rng.normal(size=(4000, 50))
    scores[np.arange(2000), np.arange(2000) % 50] += 3.0
    gallery = np.arange(50)
    ids[:2000] %= 50
    outcomes = search_outcomes(scores, ids, gallery)
    ours, theirs = tpir_at_fpir(outcomes, 0.1), tpir_by_probe_maxima(outcomes, 0.1)
    assert ours.tpir.value is not None
    assert theirs.tpir.value is not None
    assert 0 <= ours.tpir.value - theirs.tpir.value < 0.01
    assert ours.fpir.events == theirs.alarms.events + 1


def test_the_first_definition_lies_below_the_second_in_a_large_gallery() -> None:
    """Pooling makes each probe's thousands of comparisons compete for a few alarms."""
    rng = np.random.default_rng(9)
    probes = np.tile(np.arange(100), 5)
    scores = rng.normal(size=(500, 100)) + 3.0 * (probes[:, None] == np.arange(100))
    pooled = tpir_by_pooled_pairs(scores, probes, np.arange(100), 0.1)
    half = np.arange(50)
    maxima = tpir_by_probe_maxima(search_outcomes(scores[:, half], probes, half), 0.1)
    assert pooled.tpir.value is not None
    assert maxima.tpir.value is not None
    assert pooled.threshold > maxima.threshold
    assert pooled.alarms.events < 50


def test_what_the_definitions_cannot_take_is_refused() -> None:
    with pytest.raises(UserError, match="not exactly one entry"):
        tpir_by_pooled_pairs(np.zeros((1, 2)), [5], [1, 2], 0.1)
    with pytest.raises(UserError, match="cannot hold 1 false alarms"):
        tpir_by_pooled_pairs(np.zeros((1, 1)), [1], [1], 0.1)
    with pytest.raises(UserError, match="1 rows of scores for 2 probes"):
        tpir_by_pooled_pairs(np.zeros((1, 2)), [1, 2], [1, 2], 0.1)
    with pytest.raises(UserError, match="must lie above 0"):
        tpir_by_pooled_pairs(np.zeros((1, 2)), [1], [1, 2], 0.0)
    outcomes = search_outcomes(np.eye(2), [1, 2], [1, 2])
    with pytest.raises(UserError, match="needs non-mated probes"):
        tpir_by_probe_maxima(outcomes, 0.1)
    with pytest.raises(UserError, match="cannot be cut into 10 folds"):
        kfold_accuracy_by_grid(np.zeros(4), np.arange(4) < 2)
    with pytest.raises(UserError, match="folds must be"):
        kfold_accuracy_by_grid(np.zeros(4), np.arange(4) < 2, np.zeros(3))
    with pytest.raises(UserError, match="two folds or more"):
        kfold_accuracy_by_grid(np.zeros(4), np.arange(4) < 2, np.zeros(4))
    with pytest.raises(UserError, match="features of pairs"):
        squared_distances(np.zeros((2, 3)), np.zeros((3, 3)))
