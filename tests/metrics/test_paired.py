"""Paired tests over people: against slow loops, under no difference, and how often intervals cover."""

from __future__ import annotations

import numpy as np
import pytest

from urface.metrics.identification import SearchOutcomes, tpir_at_fpir
from urface.metrics.paired import SubjectDraws, difference, discard_area, paired_difference
from urface.metrics.rejection import SHARES, error_versus_discard
from urface.metrics.seeds import seed_mean
from urface.types import UserError


def outcomes(seed: int, probes: int = 400, people: int = 40, digits: int = 9) -> SearchOutcomes:
    """Half of the people are enrolled; some probes have no score, some scores are tied."""
    random = np.random.default_rng(seed)
    mated = np.arange(probes) % people < people // 2
    mate = np.where(mated, random.normal(1.5, 1, probes), np.nan).round(digits)
    other = random.normal(0.5, 1, probes).round(digits)
    mate[::37] = np.nan
    other[::41] = np.nan
    better = np.where(np.isnan(mate), 9, np.where(mate > np.nan_to_num(other, nan=-9), 0, 3))
    return SearchOutcomes(mated, mate, other, better.astype(np.int64))


SUBJECTS = np.arange(400) % 40


def tpir_loop(found: SearchOutcomes, weight: np.ndarray, fpir: float) -> float:
    """Every observed score as a threshold, the lowest that keeps the weighted FPIR."""
    mated = found.mated
    candidates = [*found.mate[mated], *found.other[~mated], np.inf]
    best = np.inf
    for threshold in candidates:
        if not np.isnan(threshold):
            alarms = weight[~mated & (found.other >= threshold)].sum()
            if alarms <= fpir * weight[~mated].sum() + 1e-9:
                best = min(best, threshold)
    hits = mated & (found.better == 0) & (found.mate >= best)
    return float(weight[hits].sum() / weight[mated].sum())


@pytest.mark.parametrize("digits", [9, 1])
@pytest.mark.parametrize("fpir", [0.02, 0.1, 0.7])
def test_resampled_tpir_equals_a_loop_over_thresholds(digits: int, fpir: float) -> None:
    draws, found = SubjectDraws(40, 25, seed=3), outcomes(1, digits=digits)
    fast = draws.tpir(found, SUBJECTS, fpir)
    slow = [tpir_loop(found, counts[SUBJECTS].astype(float), fpir) for counts in draws.counts]
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_tpir_of_equal_weights_is_the_plain_one() -> None:
    draws, found = SubjectDraws(40, 1), outcomes(2)
    object.__setattr__(draws, "counts", np.ones((1, 40), np.uint8))
    plain = tpir_at_fpir(found, 0.1, min_errors=1).tpir
    assert draws.tpir(found, SUBJECTS, 0.1)[0] == pytest.approx(plain.value)


def test_means_weigh_a_pair_of_two_people_by_the_product_of_their_counts() -> None:
    random = np.random.default_rng(4)
    pairs, values = random.integers(0, 9, (60, 2)), random.normal(size=60)
    draws = SubjectDraws(9, 30, seed=5)
    slow = []
    for counts in draws.counts.astype(int):
        total = weighted = 0.0
        for value, (a, b) in zip(values.tolist(), pairs.tolist(), strict=True):
            weight = counts[a] if a == b else counts[a] * counts[b]
            total += weight
            weighted += weight * value
        slow.append(weighted / total if total else np.nan)
    np.testing.assert_allclose(draws.means(values, pairs), slow, atol=1e-12)
    alone = draws.means(values, pairs[:, 0])
    np.testing.assert_allclose(alone, draws.means(values, pairs[:, [0, 0]]), atol=1e-12)


def test_chunks_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    draws, found = SubjectDraws(40, 50), outcomes(6)
    errors = np.random.default_rng(7).random(400) < 0.2
    pairs = np.stack([SUBJECTS, np.roll(SUBJECTS, 3)], 1)

    def all_of_them() -> list[np.ndarray]:
        return [
            draws.means(errors, pairs),
            draws.tpir(found, SUBJECTS, 0.1),
            draws.discard_areas(errors, found.other, pairs),
        ]

    whole = all_of_them()
    monkeypatch.setattr("urface.metrics.paired.CELLS_AT_ONCE", 900)
    for a, b in zip(whole, all_of_them(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_areas_of_equal_weights_are_those_of_the_curve() -> None:
    random = np.random.default_rng(8)
    uncertainty = random.random(400) + 0.5
    errors = random.random(400) < uncertainty / 3
    draws = SubjectDraws(40, 1)
    object.__setattr__(draws, "counts", np.ones((1, 40), np.uint8))
    got = draws.discard_areas(errors, uncertainty, SUBJECTS)[0]
    assert got == discard_area(errors, uncertainty)
    assert got == pytest.approx(error_versus_discard(errors, uncertainty).area, abs=1e-12)
    informed, blind = errors.astype(float) + 1, np.ones(400)
    areas = [SubjectDraws(40, 50).discard_areas(errors, u, SUBJECTS) for u in (informed, blind)]
    assert (areas[0] < areas[1]).all()
    assert SHARES[0] == 0.0


def test_identical_systems_differ_by_nothing_with_p_1() -> None:
    right = np.random.default_rng(9).random((3, 400)) < 0.7
    draws = SubjectDraws(40, 200)
    same = paired_difference(right, right, SUBJECTS, draws)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    areas = draws.tpir(outcomes(1), SUBJECTS, 0.1)
    assert difference(0.0, areas, areas).p == 1


def test_a_clear_advantage_is_found_and_its_sign_turns_with_the_order() -> None:
    random = np.random.default_rng(10)
    weak = random.random((2, 400)) < 0.6
    strong = weak | (random.random((2, 400)) < 0.5)
    draws = SubjectDraws(40, 500)
    there, back = (paired_difference(*x, SUBJECTS, draws) for x in ((strong, weak), (weak, strong)))
    assert there.low > 0
    assert there.p == pytest.approx(2 / 501)
    assert back.difference == -there.difference
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


def test_intervals_of_a_difference_cover_and_p_is_fair_where_people_differ() -> None:
    """Images of a person share their luck: an interval by trial would be too narrow."""
    random = np.random.default_rng(11)
    people, shots, covered, small = 60, 8, 0, 0
    subjects = np.repeat(np.arange(people), shots)
    for turn in range(300):
        lean = random.normal(0, 0.25, people)[subjects]  # whom system a suits better than b
        a = random.random(len(subjects)) < np.clip(0.6 + lean / 2, 0, 1)
        b = random.random(len(subjects)) < np.clip(0.6 - lean / 2, 0, 1)
        got = paired_difference(a, b, subjects, SubjectDraws(people, 300, seed=turn))
        covered += got.low <= 0 <= got.high
        small += got.p < 0.05
    assert 0.91 <= covered / 300 <= 0.985
    assert small / 300 <= 0.09


def test_seeds_are_averaged_before_people_are_drawn() -> None:
    random = np.random.default_rng(12)
    a, b = random.random((3, 400)), random.random((3, 400))
    draws = SubjectDraws(40, 60)
    both = paired_difference(a, b, SUBJECTS, draws)
    each = [draws.means(x - y, SUBJECTS) for x, y in zip(a, b, strict=True)]
    assert both.difference == pytest.approx(np.mean(a - b))
    low, high = np.quantile(np.mean(each, axis=0), [0.025, 0.975])
    assert (both.low, both.high) == pytest.approx((low, high))


def test_refusals_say_what_is_wrong() -> None:
    with pytest.raises(UserError, match="two of them"):
        SubjectDraws(1)
    with pytest.raises(UserError, match="from 0 to 39"):
        SubjectDraws(40).means(np.ones(2), np.array([0, 40]))
    with pytest.raises(UserError, match="same trials"):
        paired_difference(np.ones(3), np.ones(4), np.arange(3), SubjectDraws(4))
    with pytest.raises(UserError, match="no resample"):
        difference(0.0, np.array([np.nan]))


def test_a_mean_over_seeds_has_students_interval() -> None:
    got = seed_mean([0.80, 0.82, 0.87])
    assert got.mean == pytest.approx(0.83)
    assert got.half_width == pytest.approx(4.302653 * 0.0360555 / 3**0.5, rel=1e-5)
    assert seed_mean([0.5]).low is None
    with pytest.raises(UserError, match="one finite value"):
        seed_mean([])
