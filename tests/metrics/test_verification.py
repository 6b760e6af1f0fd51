from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from urface.metrics.intervals import clopper_pearson
from urface.metrics.verification import best_threshold, kfold_accuracy, tar_at_far
from urface.types import UserError

Sets = Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]


def right_answers(scores: list[float], same: list[bool], threshold: float) -> int:
    return sum((s >= threshold) == y for s, y in zip(scores, same, strict=True))


def slow_best_threshold(scores: list[float], same: list[bool]) -> float:
    """The documented rule, one candidate at a time."""
    seen = sorted({s for s in scores if not math.isnan(s)})
    best, place = -1, 0
    for i, candidate in enumerate([*seen, math.inf]):
        right = right_answers(scores, same, candidate)
        if right > best:
            best, place = right, i
    if place == len(seen):
        return math.inf
    return seen[place] if place == 0 else seen[place - 1] + (seen[place] - seen[place - 1]) / 2


def test_the_best_threshold_equals_a_slow_search(random_sets: Sets) -> None:
    for scores, same in random_sets(1000, seed=1):
        scores = scores.astype(np.float64)
        expected = slow_best_threshold(scores.tolist(), same.tolist())
        assert best_threshold(scores, same) == expected


def test_no_threshold_is_better_than_the_best(random_sets: Sets) -> None:
    for scores, same in random_sets(60, seed=2, largest=40):
        scores = scores.astype(np.float64)
        best = right_answers(scores.tolist(), same.tolist(), best_threshold(scores, same))
        known = np.unique(scores[~np.isnan(scores)])
        between = (known[1:] + known[:-1]) / 2
        for rival in (-np.inf, np.inf, *known, *between):
            assert right_answers(scores.tolist(), same.tolist(), rival) <= best


def test_neighbouring_floats_keep_the_upper_one_as_threshold() -> None:
    low = 1.0
    high = float(np.nextafter(low, 2.0))
    assert best_threshold(np.array([low, high]), np.array([False, True])) == high


def test_fold_accuracy_equals_plain_loops(random_sets: Sets) -> None:
    rng = np.random.default_rng(3)
    checked = 0
    for scores, same in random_sets(1000, seed=4):
        folds = rng.integers(0, 4, size=len(scores))
        names = sorted(set(folds.tolist()))
        others = [same[folds != name] for name in names]
        if len(names) < 2 or any(part.all() or not part.any() for part in others):
            with pytest.raises(UserError):
                kfold_accuracy(scores, same, folds)
            continue
        result = kfold_accuracy(scores, same, folds)
        right_in_all = 0
        for name, accuracy, threshold in zip(
            names, result.per_fold, result.thresholds, strict=True
        ):
            train = [
                (float(s), bool(y))
                for s, y, f in zip(scores, same, folds, strict=True)
                if f != name
            ]
            test = [
                (float(s), bool(y))
                for s, y, f in zip(scores, same, folds, strict=True)
                if f == name
            ]
            assert threshold == slow_best_threshold([s for s, _ in train], [y for _, y in train])
            right = right_answers([s for s, _ in test], [y for _, y in test], threshold)
            assert accuracy == right / len(test)
            right_in_all += right
        assert result.pooled.events == right_in_all == result.correct.sum()
        assert result.pooled.trials == len(scores)
        mean = sum(result.per_fold) / len(names)
        variance = sum((a - mean) ** 2 for a in result.per_fold) / (len(names) - 1)
        assert result.mean == pytest.approx(mean, abs=1e-12)
        assert result.std == pytest.approx(math.sqrt(variance), abs=1e-12)
        assert result.standard_error == pytest.approx(math.sqrt(variance / len(names)), abs=1e-12)
        checked += 1
    assert checked > 150


def test_the_fold_judged_has_no_say_in_its_threshold() -> None:
    rng = np.random.default_rng(5)
    same = np.tile([True, False], 50)
    scores = rng.normal(size=100) + same
    folds = np.repeat(np.arange(5), 20)
    before = kfold_accuracy(scores, same, folds).thresholds
    scores[folds == 2] = rng.normal(size=20) * 9
    after = kfold_accuracy(scores, same, folds).thresholds
    assert before[2] == after[2]
    assert before != after


def test_a_failed_pair_is_wrong_if_genuine_and_right_if_impostor() -> None:
    same = np.tile([True, True, False, False], 5)
    scores = np.where(same, 0.9, 0.1)
    folds = np.repeat(np.arange(5), 4)
    scores[:4] = np.nan  # the whole first fold: two genuine pairs, two impostor pairs
    result = kfold_accuracy(scores, same, folds)
    assert result.per_fold == (0.5, 1.0, 1.0, 1.0, 1.0)
    assert (result.pooled.events, result.pooled.trials, result.pooled.failures) == (18, 20, 4)
    assert (result.failed_genuine, result.failed_impostor) == (2, 2)
    assert (result.pooled.low, result.pooled.high) == clopper_pearson(18, 20)


def test_folds_that_cannot_be_judged_are_refused() -> None:
    same = np.array([True, False, True, True])
    scores = np.array([0.9, 0.1, 0.8, 0.7])
    with pytest.raises(UserError, match="two folds or more"):
        kfold_accuracy(scores, same, np.zeros(4, int))
    with pytest.raises(UserError, match="other than a hold no impostor"):
        kfold_accuracy(scores, same, np.array(["a", "a", "b", "b"]))
    with pytest.raises(UserError, match="folds must be"):
        kfold_accuracy(scores, same, np.zeros(3, int))


def slow_tar(scores: np.ndarray, same: np.ndarray, far: float) -> tuple[int, int]:
    """The most true accepts, and the false accepts that come with them, by trying everything."""
    genuine = [float(s) for s, y in zip(scores, same, strict=True) if y]
    impostor = [float(s) for s, y in zip(scores, same, strict=True) if not y]
    best = (0, 0)
    for threshold in {s for s in genuine + impostor if not math.isnan(s)}:
        false = sum(s >= threshold for s in impostor)
        true = sum(s >= threshold for s in genuine)
        if false / len(impostor) <= far:
            best = max(best, (true, false))
    return best


def nearest_false_accepts(scores: np.ndarray, same: np.ndarray, far: float) -> int:
    """The inflating rule: the threshold whose rate is nearest, whichever side it is on."""
    impostor = scores[~same]
    counts = [int((impostor >= t).sum()) for t in [*scores[~np.isnan(scores)], np.inf]]
    return min(counts, key=lambda count: abs(count / len(impostor) - far))


def test_far_never_overshoots_and_tar_is_the_largest_possible(random_sets: Sets) -> None:
    rng = np.random.default_rng(6)
    nearest_overshot = withheld = 0
    for scores, same in random_sets(2000, seed=7, largest=40):
        far = float(rng.choice([0.01, 0.05, 0.1, 0.29, 0.5, 1.0, rng.uniform(0.001, 1.0)]))
        result = tar_at_far(scores, same, far, min_errors=1)
        num_impostor = int((~same).sum())
        if far < 1 / num_impostor:
            assert not result.supported
            assert result.tar.value is None
            assert result.threshold is None
            assert result.reason.startswith("not supported")
            withheld += 1
            continue
        true, false = slow_tar(scores, same, far)
        assert result.far.value is not None
        assert result.far.value <= far
        assert (result.tar.events, result.tar.trials) == (true, int(same.sum()))
        assert result.far.trials == num_impostor
        # Of equal true accepts the lowest threshold is taken: false accepts may be more.
        assert result.far.events >= false
        assert result.threshold is not None
        assert int((scores[~same] >= result.threshold).sum()) == result.far.events
        assert result.tar.failures == np.isnan(scores[same]).sum()
        assert result.far.failures == np.isnan(scores[~same]).sum()
        nearest_overshot += nearest_false_accepts(scores, same, far) / num_impostor > far
    assert withheld > 100
    assert nearest_overshot > 100  # the control: the naive rule fails on these very sets


def test_tar_equals_sklearns_curve(random_sets: Sets) -> None:
    for scores, same in random_sets(1000, seed=8, failures=False):
        fpr, tpr, _ = roc_curve(same, scores, drop_intermediate=False)
        for far in (0.1, 0.3, 1.0):
            result = tar_at_far(scores, same, far, min_errors=1)
            if result.supported:
                expected = tpr[fpr <= far + 1e-12].max()
                assert result.tar.value == pytest.approx(expected, abs=1e-12)


def test_a_rate_below_30_errors_is_withheld_unless_asked_for() -> None:
    rng = np.random.default_rng(9)
    same = np.arange(4000) < 1000
    scores = rng.normal(size=4000) + 2 * same
    assert tar_at_far(scores, same, 0.01).supported  # 3000 impostors allow exactly 30
    few = tar_at_far(scores, same, 0.0099)
    assert not few.supported
    assert few.tar.format().startswith("withheld: not supported: 3000 impostor pairs allow 29")
    assert tar_at_far(scores, same, 0.0099, min_errors=29).far.events == 29
    for result in (few, tar_at_far(scores, same, 0.01)):
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_failures_lower_tar_but_not_its_denominator() -> None:
    scores = np.concatenate([np.full(10, 0.9), np.linspace(0.0, 0.5, 100)])
    same = np.arange(110) < 10
    scores[:3] = np.nan
    result = tar_at_far(scores, same, 0.5)
    assert (result.tar.events, result.tar.trials, result.tar.failures) == (7, 10, 3)


def test_an_impostor_tie_at_the_top_leaves_nothing_to_accept() -> None:
    scores = np.concatenate([np.full(5, 1.0), np.full(50, 1.0)])
    result = tar_at_far(scores, np.arange(55) < 5, 0.8)
    assert result.threshold == math.inf
    assert (result.tar.events, result.far.events) == (0, 0)
    assert result.to_dict()["threshold"] is None


def test_fold_accuracy_is_json() -> None:
    scores, same = np.array([0.9, 0.1, np.nan, 0.2]), np.array([True, False, True, False])
    result = kfold_accuracy(scores, same, np.array(["a", "a", "b", "b"])).to_dict()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
