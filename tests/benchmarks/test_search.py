"""Claims about searches in tiles: ranks, open sets, mates' trials and mAP are those of plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from urface.benchmarks import near_ties
from urface.benchmarks import score as score_module
from urface.benchmarks import search as search_module
from urface.benchmarks.benchmark import NOBODY, SearchTask
from urface.benchmarks.cell import Cell
from urface.benchmarks.judge import check_search
from urface.benchmarks.judge_search import average_precisions, judge_search, kept_for
from urface.benchmarks.pool import Pooled
from urface.benchmarks.search import Search, search
from urface.metrics.average_precision import average_precisions as metric_average_precisions
from urface.metrics.identification import search_outcomes, tpir_at_fpir
from urface.types import UserError

MEASURES = ("rank1", "rank5", "tpir@0.9", "fnir@0.9", "map", "tar@0.1", "fnmr@0.1")


def drawn(seed: int, ties: bool = False) -> tuple[Pooled, np.ndarray, SearchTask]:
    """Templates of 12 people and distractors, some failed; probes of people with and without mates."""
    random = np.random.default_rng(seed)
    count = 160
    subjects = np.concatenate([random.integers(0, 12, 80), np.full(80, NOBODY)])
    people = random.normal(size=(13, 6))
    vectors = people[subjects] + 0.9 * random.normal(size=(count, 6))
    if ties:  # whole numbers of few values: many equal scores, all exact in float32
        vectors = random.integers(-1, 2, (count, 6)).astype(float)
        vectors[(vectors == 0).all(1)] = 1
        spread = np.ones(count)
    else:
        spread = np.linalg.norm(vectors, axis=1)
    there = random.random(count) > 0.08
    pooled = Pooled(
        (vectors / spread[:, None]).astype(np.float32)[:, None], None, there, np.empty(0, np.int64)
    )
    chosen = random.permutation(count)
    gallery = np.concatenate([chosen[:60][subjects[chosen[:60]] != 3], chosen[150:]])
    return pooled, subjects, SearchTask("made", gallery, chosen[60:130], MEASURES)


def matrix(pooled: Pooled, task: SearchTask) -> np.ndarray:
    """Scores [Q, G], NaN where one of the two failed."""
    vectors = pooled.vectors[:, 0].astype(np.float64)
    scores = (vectors[task.probes] @ vectors[task.gallery].T).astype(np.float32).astype(float)
    scores[~pooled.there[task.probes]] = np.nan
    scores[:, ~pooled.there[task.gallery]] = np.nan
    return scores


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(score_module, "PROBES_AT_ONCE", 16)
    monkeypatch.setattr(score_module, "ENTRIES_AT_ONCE", 9)


def judged(
    pooled: Pooled, subjects: np.ndarray, task: SearchTask
) -> tuple[Search, dict[str, Cell]]:
    keep = kept_for(task, len(task.probes) * len(task.gallery))
    met = search(pooled, task, subjects, "cosine", keep=keep)
    cells = judge_search(task, met, subjects)
    check_search("made", task, subjects, cells)
    return met, {cell.measure: cell for cell in cells}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_a_search_is_that_of_the_whole_matrix(seed, ties):
    pooled, subjects, task = drawn(seed, ties)
    scores = matrix(pooled, task)
    met, cells = judged(pooled, subjects, task)
    # The metrics know no distractors' name: give each of them, and each such probe, one of its own.
    names = subjects.copy()
    names[names == NOBODY] = 1000 + np.arange((names == NOBODY).sum())
    expected = search_outcomes(scores, names[task.probes], names[task.gallery])
    got = met.outcomes()
    assert got.mated.tolist() == expected.mated.tolist()
    known = expected.mated & ~np.isnan(expected.mate)
    assert got.better[known].tolist() == expected.better[known].tolist()
    np.testing.assert_allclose(got.mate, expected.mate, atol=1e-6)
    np.testing.assert_allclose(got.other, expected.other, atol=1e-6)
    assert cells["rank1"].trials == int(expected.mated.sum())
    assert cells["rank5"].events == int((known & (expected.better < 5)).sum())
    open_set = tpir_at_fpir(expected, 0.9)
    assert cells["tpir@0.9"].reason == open_set.reason
    assert cells["tpir@0.9"].value == open_set.tpir.value
    if open_set.supported:
        assert cells["tpir@0.9"].threshold == pytest.approx(open_set.threshold, abs=1e-6)
        assert cells["fnir@0.9"].value == pytest.approx(1 - open_set.tpir.value)


def test_an_open_set_is_judged_where_enough_strangers_probe():
    found = [judged(*drawn(seed))[1]["tpir@0.9"].value for seed in range(6)]
    assert any(value is not None for value in found)


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_a_sorted_list(seed):
    pooled, subjects, task = drawn(seed, ties=seed % 2 == 1)
    scores = matrix(pooled, task)
    met, cells = judged(pooled, subjects, task)
    values = []
    for q, probe in enumerate(task.probes):
        is_mate = (subjects[task.gallery] == subjects[probe]) & (subjects[probe] != NOBODY)
        if not is_mate.any():
            continue
        # By score, highest first; of equal ones others first, for ties count against us.
        listed = sorted(
            (-s, bool(m)) for s, m in zip(scores[q], is_mate, strict=True) if not np.isnan(s)
        )
        precision, recall_before, hits, before = 0.0, 0.0, 0, 1.0
        for place, (_, mate) in enumerate(listed, start=1):
            hits += mate
            recall = hits / is_mate.sum()
            precision += (recall - recall_before) * (before + hits / place) / 2
            recall_before, before = recall, hits / place
        values.append(precision)
    got = average_precisions(met)[met.outcomes().mated]
    np.testing.assert_allclose(got, values, atol=1e-12)
    assert cells["map"].value == pytest.approx(np.mean(values), abs=1e-12)
    assert cells["map"].low < cells["map"].value < cells["map"].high


def test_streamed_average_precision_is_that_of_the_metric():
    pooled, subjects, task = drawn(1, ties=True)
    scores = matrix(pooled, task)
    met, _ = judged(pooled, subjects, task)
    mated = met.outcomes().mated
    names = subjects.copy()
    names[names == NOBODY] = 1000 + np.arange((names == NOBODY).sum())
    probes = names[task.probes][mated]
    expected, _ = metric_average_precisions(scores[mated], probes, names[task.gallery])
    np.testing.assert_allclose(average_precisions(met)[mated], expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_tar_of_a_search_is_that_of_all_its_comparisons(seed):
    from urface.metrics.verification import tar_at_far

    pooled, subjects, task = drawn(seed)
    probes, gallery = subjects[task.probes], subjects[task.gallery]
    same = (probes[:, None] == gallery) & (gallery != NOBODY)
    expected = tar_at_far(matrix(pooled, task).ravel(), same.ravel(), 0.1)
    met, cells = judged(pooled, subjects, task)
    assert met.impostors == expected.far.trials
    assert met.failed_impostors == expected.far.failures
    got = cells["tar@0.1"]
    assert (got.events, got.trials, got.failures) == (
        expected.tar.events,
        expected.tar.trials,
        expected.tar.failures,
    )
    assert got.threshold == pytest.approx(expected.threshold, abs=1e-6)
    assert cells["fnmr@0.1"].events == got.trials - got.events


def test_the_highest_scores_are_kept_through_many_tiles(monkeypatch):
    random = np.random.default_rng(0)
    top = search_module._Top(10)
    monkeypatch.setattr(top, "_shrink", top._shrink)
    tiles = [random.integers(0, 400, (60, 70)).astype(np.float32) for _ in range(5)]
    for tile in tiles:
        tile[0, :5] = np.nan
        top.add(tile)
        top._shrink()
    everything = np.concatenate([tile.ravel() for tile in tiles])
    expected = np.sort(everything[~np.isnan(everything)])[::-1][:10]
    assert top.scores().tolist() == expected.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_each_mate_is_searched_among_all_distractors(seed):
    """MegaFace: a row of mates is a trial of its own, and other mates of the probe do not compete."""
    pooled, subjects, _ = drawn(seed)
    distractors = np.flatnonzero(subjects == NOBODY)
    people = np.flatnonzero(subjects != NOBODY)
    mates = np.array(
        [(a, b) for a in people for b in people if a != b and subjects[a] == subjects[b]]
    )
    mates = np.random.default_rng(seed).permutation(mates)
    probes = np.unique(mates[:, 0])
    task = SearchTask("mega", distractors, probes, ("rank1", "rank10", "tar@0.01"), "", mates)
    _, cells = judged(pooled, subjects, task)
    vectors = pooled.vectors[:, 0].astype(np.float64)
    hits = {1: 0, 10: 0}
    failed = 0
    for probe, mate in mates:
        if not (pooled.there[probe] and pooled.there[mate]):
            failed += 1
            continue
        usable = distractors[pooled.there[distractors]]
        better = int((vectors[usable] @ vectors[probe] >= vectors[mate] @ vectors[probe]).sum())
        for rank in hits:
            hits[rank] += better < rank
    assert (cells["rank1"].events, cells["rank1"].trials) == (hits[1], len(mates))
    assert (cells["rank10"].events, cells["rank10"].failures) == (hits[10], failed)
    assert cells["tar@0.01"].trials == len(mates)


def test_a_probe_without_a_feature_is_a_miss_in_the_denominator():
    pooled, subjects, task = drawn(0)
    _, before = judged(pooled, subjects, task)
    there = pooled.there.copy()
    mated = np.isin(subjects[task.probes], subjects[task.gallery]) & (subjects[task.probes] >= 0)
    there[task.probes[mated][:5]] = False
    worse = Pooled(pooled.vectors, None, there, pooled.lost)
    _, after = judged(worse, subjects, task)
    assert after["rank1"].trials == before["rank1"].trials
    assert after["rank1"].failures > before["rank1"].failures
    assert after["rank1"].events <= before["rank1"].events
    assert after["map"].trials == before["map"].trials


def test_nobody_is_not_the_mate_of_nobody():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(6, 1, 3)).astype(np.float32)
    pooled = Pooled(vectors, None, np.ones(6, bool), np.empty(0, np.int64))
    subjects = np.full(6, NOBODY)
    task = SearchTask(
        "none", np.arange(3), np.arange(3, 6), ("rank1", "tpir@0.9", "map", "tar@0.9")
    )
    _, cells = judged(pooled, subjects, task)
    assert all(cell.value is None and cell.reason for cell in cells.values())


def test_a_list_of_mates_that_names_no_probe_is_refused():
    pooled, subjects, _ = drawn(0)
    task = SearchTask("m", np.arange(80, 90), np.array([1]), ("rank1",), "", np.array([[2, 3]]))
    with pytest.raises(UserError, match="no probe"):
        search(pooled, task, subjects, "cosine")


def test_a_rate_that_would_keep_every_score_is_refused():
    pooled, subjects, task = drawn(0)
    with pytest.raises(UserError, match="too high to stream"):
        search(pooled, task, subjects, "cosine", keep=search_module.MOST_KEPT + 1)


def copied(score: str, per_dimension: bool = False) -> tuple[Pooled, np.ndarray, int]:
    """Probes, their mates, and a stranger equal to each mate, of ordinary features of 512 values."""
    random = np.random.default_rng(3)
    count, parts, width = 70, (1 if per_dimension else 4), (512 if per_dimension else 128)
    vectors = random.normal(size=(2 * count, parts, width))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    variance = random.uniform(0.02, 0.5, (2 * count, parts, width if per_dimension else 1))
    variance = variance if per_dimension else variance[:, :, 0]
    rows = np.concatenate([np.arange(2 * count), np.arange(count, 2 * count)])
    pooled = Pooled(
        vectors[rows].astype(np.float32),
        variance[rows].astype(np.float32) if score == "likelihood" else None,
        np.ones(len(rows), bool),
        np.empty(0, np.int64),
    )
    people = np.arange(count)
    return pooled, np.concatenate([people, people, np.full(count, NOBODY)]), count


@pytest.mark.parametrize("trials", [False, True])
@pytest.mark.parametrize(
    ("score", "per_dimension"), [("cosine", False), ("likelihood", False), ("likelihood", True)]
)
def test_a_stranger_equal_to_the_mate_stands_before_it_whatever_the_rounding(
    score, per_dimension, trials, monkeypatch
):
    monkeypatch.setattr(score_module, "ENTRIES_AT_ONCE", 37)
    monkeypatch.setattr(near_ties, "CLOSE_AT_ONCE", 40)
    pooled, subjects, count = copied(score, per_dimension)
    probes, mates = np.arange(count), np.arange(count, 2 * count)
    pairs = np.stack([probes, mates], axis=1)
    gallery = np.arange((2 if trials else 1) * count, 3 * count)
    task = SearchTask("copies", gallery, probes, ("rank1",), "", pairs if trials else None)
    met = search(pooled, task, subjects, score, keep=len(probes) * len(gallery))
    assert (met.better >= 1).all()
    found = met.outcomes()
    # And it is never better than the mate: where it is the best stranger, it scores the same.
    assert (found.other >= found.mate).all()
    assert (found.other[found.better == 1] == found.mate[found.better == 1]).all()
    assert np.isin(found.mate.astype(np.float32), met.top).all()


@pytest.mark.parametrize("per_dimension", [False, True])
@pytest.mark.parametrize("score", ["cosine", "likelihood"])
def test_a_tile_is_as_near_to_its_pairs_as_it_says(score, per_dimension):
    pooled, _, count = copied(score, per_dimension)
    everyone = np.arange(3 * count)
    for tile in score_module.search_tiles(pooled, everyone, everyone, score):
        rows = everyone[tile.probe : tile.probe + len(tile.scores)]
        columns = everyone[tile.entry : tile.entry + tile.scores.shape[1]]
        pairs = score_module.pair_scores(
            pooled, np.repeat(rows, len(columns)), np.tile(columns, len(rows)), score
        )
        away = np.abs(tile.scores - pairs.reshape(tile.scores.shape)).max(1)
        assert (away <= tile.rounding / 2).all()
        assert (tile.rounding < 0.01 * np.ptp(tile.scores)).all()
