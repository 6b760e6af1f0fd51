from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from urface.metrics.curves import auc, det, eer, roc
from urface.metrics.intervals import clopper_pearson
from urface.metrics.verification import tar_at_far
from urface.types import UserError

Sets = Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]


def failures_at_the_bottom(scores: np.ndarray) -> np.ndarray:
    """What failures stand for, in terms other libraries know: a score below all others."""
    return np.where(np.isnan(scores), -1e3, scores)


def test_roc_counts_equal_sklearn(random_sets: Sets) -> None:
    for scores, same in random_sets(1000, seed=1):
        curve = roc(scores, same)
        fpr, tpr, thresholds = roc_curve(
            same, failures_at_the_bottom(scores), drop_intermediate=False
        )
        if np.isnan(scores).any():  # sklearn goes on to accept the failures; we never do
            fpr, tpr, thresholds = fpr[:-1], tpr[:-1], thresholds[:-1]
        assert curve.thresholds.tolist() == thresholds.tolist()
        assert curve.false_matches.tolist() == np.rint(fpr * curve.num_impostor).tolist()
        assert curve.true_matches.tolist() == np.rint(tpr * curve.num_genuine).tolist()
        assert np.abs(curve.fmr - fpr).max() <= 1e-12
        assert np.abs(curve.fnmr - (1 - tpr)).max() <= 1e-12


def slow_eer(scores: np.ndarray, same: np.ndarray) -> Fraction | None:
    """The crossing of the joined-up ROC with FMR = FNMR, in exact fractions."""
    genuine, impostor = scores[same].tolist(), scores[~same].tolist()
    points = [(Fraction(0), Fraction(1))]
    for t in sorted({s for s in genuine + impostor if not math.isnan(s)}, reverse=True):
        fmr = Fraction(sum(s >= t for s in impostor), len(impostor))
        fnmr = 1 - Fraction(sum(s >= t for s in genuine), len(genuine))
        points.append((fmr, fnmr))
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 >= y1:
            part = (y0 - x0) / ((y0 - x0) + (x1 - y1))
            return x0 + part * (x1 - x0)
    return None


def test_eer_equals_exact_fractions(random_sets: Sets) -> None:
    never_crossed = 0
    for scores, same in random_sets(1000, seed=2):
        result, expected = eer(scores, same), slow_eer(scores, same)
        if expected is None:
            assert result.value is None
            assert "failed" in result.reason
            never_crossed += 1
            continue
        assert result.value == pytest.approx(float(expected), abs=1e-12)
        assert result.low is not None
        assert result.high is not None
        assert result.low <= result.value <= result.high
        assert result.fmr.events == (scores[~same] >= result.threshold).sum()
        assert result.fnmr.events == (~(scores[same] >= result.threshold)).sum()
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert never_crossed > 0


def test_eer_of_two_normals_is_the_textbook_value() -> None:
    rng = np.random.default_rng(3)
    same = np.arange(40_000) < 20_000
    result = eer(rng.normal(size=40_000) + 2.0 * same, same)
    assert result.value == pytest.approx(norm.cdf(-1.0), abs=0.005)


def test_auc_equals_sklearn_and_counts_ties_as_half(random_sets: Sets) -> None:
    for scores, same in random_sets(1000, seed=4):
        result = auc(scores, same)
        expected = roc_auc_score(same, failures_at_the_bottom(scores))
        assert result.value == pytest.approx(expected, abs=1e-12)
        assert 0.0 <= result.low <= result.value <= result.high <= 1.0
        assert result.failed_genuine == np.isnan(scores[same]).sum()
    assert auc(np.full(9, 0.3), np.arange(9) < 4).value == 0.5


def test_auc_equals_all_couples_compared(random_sets: Sets) -> None:
    for scores, same in random_sets(40, seed=5, largest=30):
        low = failures_at_the_bottom(scores)
        halves = sum(
            2 * int(g > i) + int(g == i) for g in low[same].tolist() for i in low[~same].tolist()
        )
        couples = int(same.sum()) * int((~same).sum())
        assert auc(scores, same).value == pytest.approx(halves / couples / 2, abs=1e-12)


def test_a_perfect_auc_is_no_more_certain_than_its_couples() -> None:
    same = np.arange(50) < 20
    result = auc(same + 0.0, same)
    assert result.value == 1.0
    assert (result.low, result.high) == clopper_pearson(20, 20)
    assert (auc(-1.0 * same, same).low, auc(-1.0 * same, same).value) == (0.0, 0.0)


def test_the_interval_of_auc_covers_the_true_area() -> None:
    rng = np.random.default_rng(6)
    same = np.arange(150) < 60
    truth = norm.cdf(1.0 / math.sqrt(2.0))
    results = [auc(rng.normal(size=150) + same, same) for _ in range(600)]
    covered = np.mean([r.low <= truth <= r.high for r in results])
    assert 0.92 <= covered <= 0.98


def test_det_points_are_the_at_most_rule_at_each_rate(random_sets: Sets) -> None:
    compared = 0
    for scores, same in random_sets(120, seed=7):
        num_impostor = int((~same).sum())
        if num_impostor < 3:
            continue
        curve = det(scores, same, points=25, min_errors=3)
        assert (np.diff(curve.fmr) >= 0).all()
        assert (np.diff(curve.fnmr) <= 0).all()
        assert ((curve.low <= curve.fnmr) & (curve.fnmr <= curve.high)).all()
        at_most = set()
        for target in np.minimum(np.geomspace(3 / num_impostor, 1.0, 25), 1.0):
            point = tar_at_far(scores, same, float(target), min_errors=3)
            at_most.add(point.tar.events)
        found = (curve.num_genuine - np.rint(curve.fnmr * curve.num_genuine)).astype(int)
        assert set(found.tolist()) == at_most
        compared += 1
    assert compared > 50


def test_det_starts_where_30_errors_are_allowed() -> None:
    rng = np.random.default_rng(8)
    same = np.arange(4000) < 1000
    curve = det(rng.normal(size=4000) + same, same)
    assert curve.fmr[0] == 0.01
    assert curve.fmr[-1] == 1.0
    with pytest.raises(UserError, match="30 impostor comparisons or more"):
        det(np.zeros(30), np.arange(30) < 1)
