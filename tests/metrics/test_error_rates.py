from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from urface.metrics.error_rates import fnir, fnir_at_fpir, fnmr_at_fmr, fpir, rates_at_threshold
from urface.metrics.identification import SearchOutcomes, closed_set, search_outcomes, tpir_at_fpir
from urface.metrics.verification import tar_at_far
from urface.types import UserError

Sets = Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]


def test_fnmr_is_what_tar_leaves(random_sets: Sets) -> None:
    rng = np.random.default_rng(1)
    for scores, same in random_sets(1000, seed=1):
        far = float(rng.uniform(0.05, 1))
        tar, iso = (
            rule(scores, same, far, min_errors=1)  # type: ignore[operator]
            for rule in (tar_at_far, fnmr_at_fmr)
        )
        assert iso.threshold == tar.threshold
        assert iso.supported == tar.supported
        if iso.supported:
            assert iso.fnmr.events + tar.tar.events == tar.tar.trials == iso.fnmr.trials
            assert iso.fmr.events <= far * iso.fmr.trials + 1e-9
        else:
            assert iso.fnmr.value is None
        assert json.loads(json.dumps(iso.to_dict(), allow_nan=False))


def test_the_threshold_rule_never_overshoots(random_sets: Sets) -> None:
    """Goal G61: 0 of 10,000 random, tiny and tie-heavy sets."""
    rng = np.random.default_rng(2)
    supported = 0
    for scores, same in random_sets(10_000, seed=2, largest=40):
        far = float(rng.choice([1 / 3, 0.5, rng.uniform(0, 1) or 0.5, 0.1]))
        result = fnmr_at_fmr(scores, same, far, min_errors=1)
        if result.supported:
            assert result.threshold is not None
            matched = sum(score >= result.threshold for score in scores[~same].tolist())
            assert matched <= far * np.count_nonzero(~same)
            supported += 1
        else:
            assert far < 1 / np.count_nonzero(~same)
    assert supported > 5_000


def test_rates_at_a_threshold_equal_plain_loops(random_sets: Sets) -> None:
    rng = np.random.default_rng(3)
    for scores, same in random_sets(1000, seed=3):
        threshold = float(rng.choice([rng.normal(), np.nanmin(np.append(scores, 0)), math.inf]))
        fmr, fnmr = rates_at_threshold(scores, same, threshold)
        pairs = list(zip(scores.tolist(), same.tolist(), strict=True))
        assert fmr.events == sum(s >= threshold for s, is_same in pairs if not is_same)
        assert fnmr.events == sum(not s >= threshold for s, is_same in pairs if is_same)
        assert fmr.failures + fnmr.failures == sum(math.isnan(s) for s, _ in pairs)
    with pytest.raises(UserError, match="must be a number"):
        rates_at_threshold(np.zeros(2), np.array([True, False]), math.nan)


def draw_outcomes(
    rng: np.random.Generator,
) -> tuple[SearchOutcomes, np.ndarray, list[int], list[int]]:
    gallery = rng.permutation(np.concatenate([np.arange(6), rng.integers(0, 6, 4)]))
    probes = rng.integers(0, 12, 25)
    probes[:2] = 0, 11
    scores = rng.normal(size=(25, 10)) + 1.5 * (probes[:, None] == gallery)
    if rng.random() < 0.5:
        scores = np.round(scores)
    scores[rng.random(25) < 0.1] = np.nan
    scores[rng.random(scores.shape) < 0.05] = np.nan
    outcomes = search_outcomes(scores, probes, gallery)
    return outcomes, scores, probes.tolist(), gallery.tolist()


def slow_rates(
    scores: np.ndarray, probes: list[int], gallery: list[int], threshold: float, rank: float
) -> tuple[int, int]:
    """Misses of the mated and alarms of the non-mated, by looking at each list."""
    misses = alarms = 0
    for row, probe in zip(scores.tolist(), probes, strict=True):
        known = [(s, g) for s, g in zip(row, gallery, strict=True) if not math.isnan(s)]
        if probe not in gallery:
            alarms += any(s >= threshold for s, _ in known)
            continue
        mate = max((s for s, g in known if g == probe), default=-math.inf)
        place = 1 + sum(s >= mate for s, g in known if g != probe)
        misses += not (mate > -math.inf and mate >= threshold and place <= rank)
    return misses, alarms


def test_fnir_and_fpir_equal_plain_loops() -> None:
    rng = np.random.default_rng(4)
    for _ in range(1000):
        outcomes, scores, probes, gallery = draw_outcomes(rng)
        for rank in (1, 3, None):
            threshold = float(rng.choice([rng.normal(), -math.inf]))
            misses, alarms = slow_rates(scores, probes, gallery, threshold, rank or math.inf)
            assert fnir(outcomes, threshold, rank).events == misses
            assert fpir(outcomes, threshold).events == alarms


def test_fnir_without_a_threshold_is_what_the_cmc_leaves() -> None:
    rng = np.random.default_rng(5)
    ids = np.arange(8)
    scores = rng.normal(size=(8, 8)) + np.eye(8)
    outcomes = search_outcomes(scores, ids, ids)
    for rank, found in closed_set(scores, ids, ids, ranks=(1, 2, 5)).items():
        assert fnir(outcomes, rank=rank).events == found.trials - found.events


def test_fnir_at_fpir_takes_the_lowest_threshold_that_does_not_overshoot() -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        outcomes, scores, probes, gallery = draw_outcomes(rng)
        target = float(rng.uniform(0.1, 1))
        strangers = sum(probe not in gallery for probe in probes)
        if target * strangers < 1:
            continue
        candidates = [*set(scores[~np.isnan(scores)].tolist()), math.inf]
        for rank in (1, 2, None):
            result = fnir_at_fpir(outcomes, target, rank, min_errors=1)
            tried = [slow_rates(scores, probes, gallery, t, rank or math.inf) for t in candidates]
            assert result.fnir.events == min(m for m, a in tried if a <= target * strangers)
            assert result.fpir.events <= target * strangers
            assert json.loads(json.dumps(result.to_dict(), allow_nan=False))
        one = tpir_at_fpir(outcomes, target, min_errors=1)
        first = fnir_at_fpir(outcomes, target, min_errors=1)
        assert first.fnir.events + one.tpir.events == one.tpir.trials
        assert first.threshold == one.threshold


def test_too_few_strangers_withhold_both_rates() -> None:
    outcomes = search_outcomes(np.eye(3), [0, 1, 9], [0, 1, 2])
    result = fnir_at_fpir(outcomes, 0.1)
    assert not result.supported
    assert result.fnir.value is result.fpir.value is result.threshold is None
    assert "non-mated probes allow 0 errors" in result.reason


def test_what_has_no_denominator_is_refused() -> None:
    mated = search_outcomes(np.eye(2), [0, 1], [0, 1])
    strangers = search_outcomes(np.eye(2), [5, 6], [0, 1])
    with pytest.raises(UserError, match="needs non-mated probes"):
        fpir(mated, 0.5)
    with pytest.raises(UserError, match="needs mated probes"):
        fnir(strangers)
    with pytest.raises(UserError, match="needs non-mated probes"):
        fnir_at_fpir(mated, 0.5)
    with pytest.raises(UserError, match="a rank is 1 or more"):
        fnir(mated, rank=0)
