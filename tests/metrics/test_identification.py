from __future__ import annotations

import json
import math

import numpy as np
import pytest

from urface.metrics import identification
from urface.metrics.identification import (
    closed_set,
    open_set,
    rank_rates,
    search_outcomes,
    tpir_at_fpir,
)
from urface.types import UserError

Search = tuple[np.ndarray, np.ndarray, np.ndarray]


def draw_search(rng: np.random.Generator, strangers: bool) -> Search:
    """Scores [N, M] with ties and failures, probe ids [N], gallery ids [M] with repeats."""
    people = int(rng.integers(2, 9))
    gallery = np.concatenate([np.arange(people), rng.integers(0, people, size=rng.integers(0, 5))])
    rng.shuffle(gallery)
    probes = rng.integers(0, people, size=rng.integers(2, 30))
    if strangers:
        probes = np.where(rng.random(len(probes)) < 0.5, probes, probes + 100)
        probes[:2] = 0, 100
    scores = rng.normal(size=(len(probes), len(gallery)))
    scores += 1.5 * (probes[:, None] == gallery)
    if rng.random() < 0.5:
        scores = np.round(scores)
    scores[rng.random(len(probes)) < 0.15] = np.nan  # failed probes
    scores[rng.random(scores.shape) < 0.05] = np.nan  # failed gallery entries
    return scores, probes, gallery


def slow_rank(row: list[float], probe: int, gallery: list[int]) -> float:
    """1 + the others that do at least as well as the best mate; infinite without a mate's score."""
    mates = [s for s, g in zip(row, gallery, strict=True) if g == probe and not math.isnan(s)]
    if not mates:
        return math.inf
    return 1 + sum(s >= max(mates) for s, g in zip(row, gallery, strict=True) if g != probe)


def test_closed_set_equals_plain_loops() -> None:
    rng = np.random.default_rng(1)
    for _ in range(1000):
        scores, probes, gallery = draw_search(rng, strangers=False)
        ranks = [
            slow_rank(row, probe, gallery.tolist())
            for row, probe in zip(scores.tolist(), probes.tolist(), strict=True)
        ]
        result = closed_set(scores, probes, gallery, ranks=(1, 2, 5))
        for rank, rate in result.items():
            assert rate.events == sum(r <= rank for r in ranks)
            assert rate.trials == len(probes)
            assert rate.failures == sum(math.isinf(r) for r in ranks)


def slow_open_set(
    scores: np.ndarray, probes: np.ndarray, gallery: np.ndarray, fpir: float
) -> tuple[int, int, int]:
    """The most probes found, of how many, and how many non-mated ones there are."""
    known = set(gallery.tolist())
    alarms: list[float] = []
    found: list[float] = []
    num_mated = num_nonmated = 0
    for row, probe in zip(scores.tolist(), probes.tolist(), strict=True):
        if probe not in known:
            num_nonmated += 1
            alarms.append(max([s for s in row if not math.isnan(s)], default=-math.inf))
            continue
        num_mated += 1
        if slow_rank(row, probe, gallery.tolist()) == 1:
            mates = [s for s, g in zip(row, gallery.tolist(), strict=True) if g == probe]
            found.append(max(s for s in mates if not math.isnan(s)))
    best = 0
    for threshold in {s for s in alarms + found if not math.isinf(s)}:
        if sum(s >= threshold for s in alarms) / num_nonmated <= fpir:
            best = max(best, sum(s >= threshold for s in found))
    return best, num_mated, num_nonmated


def test_open_set_equals_plain_loops_and_never_overshoots() -> None:
    rng = np.random.default_rng(2)
    for _ in range(1000):
        scores, probes, gallery = draw_search(rng, strangers=True)
        fpirs = (0.1, 0.29, 0.5, float(rng.uniform(0.01, 1.0)))
        for fpir, result in open_set(scores, probes, gallery, fpirs, min_errors=1).items():
            found, num_mated, num_nonmated = slow_open_set(scores, probes, gallery, fpir)
            assert (result.tpir.trials, result.fpir.trials) == (num_mated, num_nonmated)
            if fpir < 1 / num_nonmated:
                assert not result.supported
                assert result.tpir.value is None
                continue
            assert result.tpir.events == found
            assert result.fpir.value is not None
            assert result.fpir.value <= fpir


def test_blocks_of_rows_give_what_the_whole_matrix_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    scores, probes, gallery = draw_search(rng, strangers=True)
    whole = search_outcomes(scores, probes, gallery)
    by_row = search_outcomes((scores[i : i + 1] for i in range(len(scores))), probes, gallery)
    monkeypatch.setattr(identification, "CELLS_AT_ONCE", 3 * len(gallery))
    in_parts = search_outcomes(scores, probes, gallery)
    for name in ("mated", "mate", "other", "better"):
        for outcome in (by_row, in_parts):
            np.testing.assert_array_equal(getattr(whole, name), getattr(outcome, name))


def test_a_tie_with_another_person_is_a_miss() -> None:
    tied = np.array([[0.7, 0.7, 0.1]])
    result = closed_set(tied, ["ann"], ["ann", "bob", "cy"], ranks=(1, 2))
    assert (result[1].events, result[2].events) == (0, 1)


def test_the_best_of_several_entries_counts_and_mates_do_not_compete() -> None:
    scores = np.array([[0.2, 0.9, 0.8, 0.5]])
    result = closed_set(scores, ["ann"], ["ann", "ann", "ann", "bob"], ranks=(1,))
    assert result[1].value == 1.0


def test_failed_probes_miss_if_mated_and_raise_no_alarm_if_not() -> None:
    gallery = np.arange(5)
    probes = np.concatenate([np.arange(5), np.full(60, 99)])
    scores = np.full((65, 5), 0.1)
    scores[np.arange(5), np.arange(5)] = 0.9
    scores[[0, 10, 11]] = np.nan
    result = open_set(scores, probes, gallery, (0.5,))[0.5]
    assert (result.tpir.events, result.tpir.trials, result.tpir.failures) == (4, 5, 1)
    assert (result.fpir.events, result.fpir.trials, result.fpir.failures) == (0, 60, 2)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_an_fpir_with_fewer_than_30_alarms_is_withheld() -> None:
    rng = np.random.default_rng(4)
    probes = np.concatenate([np.zeros(10, int), np.full(299, 7)])
    scores = rng.normal(size=(309, 3))
    result = open_set(scores, probes, [0, 1, 2])
    assert result[0.10].reason.startswith("not supported: 299 non-mated probes allow 29 errors")
    assert result[0.10].to_dict()["threshold"] is None
    assert tpir_at_fpir(search_outcomes(scores, probes, [0, 1, 2]), 0.10, min_errors=29).supported


def test_identities_as_table_columns_of_text_are_understood() -> None:
    ids = np.array(["ann", "bob"], dtype=object)
    assert closed_set(np.eye(2), ids, ["ann", "bob"], ranks=(1,))[1].value == 1.0


def test_searches_that_do_not_add_up_are_refused() -> None:
    ids = [1, 2]
    with pytest.raises(UserError, match="1 rows of scores for 2 probes"):
        closed_set(np.zeros((1, 2)), ids, ids)
    with pytest.raises(UserError, match="more rows of scores than the 2 probes"):
        closed_set([np.zeros((2, 2)), np.zeros((1, 2))], ids, ids)
    with pytest.raises(UserError, match="one column per gallery entry"):
        closed_set(np.zeros((2, 3)), ids, ids)
    with pytest.raises(UserError, match="infinite"):
        closed_set(np.array([[np.inf, 0.0], [0.0, 1.0]]), ids, ids)
    with pytest.raises(UserError, match="of one type"):
        closed_set(np.eye(2), ids, ["1", "2"])
    with pytest.raises(UserError, match="gallery_ids must be a list"):
        closed_set(np.zeros((2, 0)), ids, [])
    with pytest.raises(UserError, match="1 probes are of nobody in the gallery"):
        closed_set(np.eye(2), [1, 3], ids)
    with pytest.raises(UserError, match="a rank is 1 or more"):
        rank_rates(search_outcomes(np.eye(2), ids, ids), ranks=(0,))
    with pytest.raises(UserError, match="needs non-mated probes"):
        open_set(np.eye(2), ids, ids)
    with pytest.raises(UserError, match="needs mated probes"):
        open_set(np.eye(2), [8, 9], ids)
