"""Claims about the field's variants beside ours: each is what its metric says of the same features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.made_up import Fake, OnDisk, all_pairs, benchmark
from urface.benchmarks.benchmark import SearchTask
from urface.benchmarks.evaluate import Options, evaluate
from urface.metrics.conventions import (
    kfold_accuracy_by_grid,
    squared_distances,
    tar_at_nearest_far,
    tpir_by_pooled_pairs,
    tpir_by_probe_maxima,
)
from urface.metrics.identification import search_outcomes

SUBJECTS = np.arange(40) % 8
ASKED = Options(conventions=True)


def vectors(seed: int = 0, noise: float = 1.5, count: int = 40, people: int = 8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, 16))
    found = centres[np.arange(count) % people] + noise * rng.normal(size=(count, 16))
    return found.astype(np.float32)


def on_disk(values: np.ndarray) -> OnDisk:
    return OnDisk([f"{place}.jpg" for place in range(len(values))], values)


def test_pairs_have_the_grid_accuracy_and_the_nearest_far_with_their_difference_from_ours():
    task = all_pairs(SUBJECTS, ("accuracy", "tar@0.1", "tar@0.05", "eer"))
    features = vectors()
    result = evaluate(benchmark(pairs=(task,)), on_disk(features), ASKED, progress=False)
    rows = {row["name"]: row for row in result.rows("conventions")}
    assert list(rows) == ["accuracy_grid", "tar_nearest@0.1", "tar_nearest@0.05"]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    distances = squared_distances(features[task.left], features[task.right])
    grid = kfold_accuracy_by_grid(distances, task.same, 10).pooled
    assert rows["accuracy_grid"]["events"] == grid.events
    scores = (unit[task.left] * unit[task.right]).sum(1)
    for far in (0.1, 0.05):
        near = tar_at_nearest_far(scores, task.same, far)
        assert rows[f"tar_nearest@{far:g}"]["events"] == near.tar.events
    for row in rows.values():
        ours = result.cell("all", row["measure"]).value
        assert row["ours"] == ours
        assert row["difference"] == pytest.approx(row["theirs"] - ours)
    assert "--flip" in rows["accuracy_grid"]["note"]


def two_galleries(count: int = 360) -> tuple[np.ndarray, SearchTask, SearchTask]:
    """40 people; the first image of each is in one of two galleries, the others are probes of both."""
    people = np.arange(count) % 40
    probes = np.arange(40, count)
    halves = (np.arange(20), np.arange(20, 40))
    tasks = [
        SearchTask(f"gallery {n}", half, probes, ("rank1", "tpir@0.2"), group="both")
        for n, half in enumerate(halves, 1)
    ]
    return people, tasks[0], tasks[1]


def test_searches_have_both_definitions_of_the_open_set():
    people, one, two = two_galleries()
    features = vectors(1, 2.0, 360, 40)
    source = benchmark(360, 40, searches=(one, two))
    result = evaluate(source, on_disk(features), ASKED, progress=False)
    rows = {(row["task"], row["name"]): row for row in result.rows("conventions")}
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    maxima = []
    for task in (one, two):
        scores = unit[task.probes] @ unit[task.gallery].T
        outcomes = search_outcomes(scores, people[task.probes], people[task.gallery])
        found = tpir_by_probe_maxima(outcomes, 0.2)
        maxima.append(found.tpir.value)
        assert rows[task.name, "tpir_by_probe_maxima"]["events"] == found.tpir.events
    mean = rows["both", "tpir_by_probe_maxima"]
    assert mean["theirs"] == pytest.approx(np.mean(maxima))
    assert mean["ours"] == result.cell("both", "tpir@0.2").value
    gallery = np.arange(40)
    pooled = tpir_by_pooled_pairs(
        unit[one.probes] @ unit[gallery].T, people[one.probes], people[gallery], 0.2
    )
    assert rows["both", "tpir_by_pooled_pairs"]["events"] == pooled.tpir.events
    assert rows["both", "tpir_by_pooled_pairs"]["trials"] == len(one.probes)


def test_what_cannot_be_computed_is_said():
    _people, one, two = two_galleries()
    shifted = replace(two, probes=two.probes[1:])
    source = benchmark(360, 40, searches=(one, shifted))
    result = evaluate(source, on_disk(vectors(1, 2.0, 360, 40)), ASKED, progress=False)
    reasons = [row["reason"] for row in result.rows("conventions") if row["theirs"] is None]
    assert reasons == ["the searches have different probes"]


def test_nothing_of_it_is_there_unless_asked_for_and_none_of_likelihoods():
    task = all_pairs(SUBJECTS, ("accuracy",))
    assert not evaluate(benchmark(pairs=(task,)), Fake(), progress=False).rows("conventions")
    likelihood = Options(score="likelihood", conventions=True)
    result = evaluate(benchmark(pairs=(task,)), Fake(2, 4, True), likelihood, progress=False)
    assert not result.rows("conventions")
