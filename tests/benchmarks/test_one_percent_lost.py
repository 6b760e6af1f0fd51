"""One face in a hundred is lost: every count is still the protocol's, and the lost count as errors (G63)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.made_up import Fake, benchmark
from urface.benchmarks.benchmark import Benchmark, PairTask, SearchTask, Templates
from urface.benchmarks.embed import embed_images
from urface.benchmarks.evaluate import evaluate
from urface.benchmarks.judge import check_pairs
from urface.benchmarks.judge_pairs import judge_pairs
from urface.benchmarks.pool import Pooling, pool
from urface.benchmarks.result import Result
from urface.benchmarks.score import pair_scores
from urface.types import UserError

IMAGES, PEOPLE, PAIRS = 4000, 800, 6000  # pairs as many as LFW's


def lost(share: float = 0.01) -> list[int]:
    chosen = np.random.default_rng(63).permutation(IMAGES)[: int(share * IMAGES)]
    return sorted(chosen.tolist())


def pairs_of(subjects: np.ndarray) -> PairTask:
    """3,000 pairs of one person and 3,000 of two, in ten folds."""
    random = np.random.default_rng(1)
    left = random.integers(0, len(subjects), PAIRS)
    step = len(subjects) // PEOPLE
    mate = (left + PEOPLE * random.integers(1, step, PAIRS)) % len(subjects)
    other = (left + 1 + random.integers(0, PEOPLE - 1, PAIRS)) % len(subjects)
    same = np.arange(PAIRS) % 2 == 0
    right = np.where(same, mate, other)
    assert ((subjects[left] == subjects[right]) == same).all()
    return PairTask("pairs", left, right, same, np.arange(PAIRS) // 600, ("accuracy", "tar@0.1"))


def search_of(templates: int) -> SearchTask:
    """The first template of the first half of the people enrolled, all later ones searched."""
    probes = np.arange(PEOPLE, templates)
    return SearchTask("search", np.arange(PEOPLE // 2), probes, ("rank1", "tpir@0.1", "map"))


def single_images(damaged: list[int]) -> Benchmark:
    subjects = np.arange(IMAGES) % PEOPLE
    return benchmark(
        IMAGES, PEOPLE, damaged, (pairs_of(subjects),), (search_of(IMAGES),), name="single"
    )


def templates_of_two(damaged: list[int]) -> Benchmark:
    """2,000 templates of two images of one person."""
    half = IMAGES // 2
    subjects = np.arange(half) % PEOPLE
    entry = np.arange(IMAGES)
    names = [f"t{place}" for place in range(half)]
    made = Templates(names, subjects, entry, entry % half, entry)
    random = np.random.default_rng(2)
    left, right = random.integers(0, half, (2, PAIRS))
    right[::2] = (left[::2] + PEOPLE) % half
    same = subjects[left] == subjects[right]
    task = PairTask("pairs", left, right, same, np.arange(PAIRS) // 600, ("accuracy", "tar@0.1"))
    return benchmark(IMAGES, PEOPLE, damaged, (task,), (search_of(half),), made, name="templates")


def trials(result: Result) -> dict[str, int]:
    return {f"{cell.task} {cell.measure}": cell.trials for cell in result.cells}


@pytest.mark.parametrize("make", [single_images, templates_of_two])
def test_totals_are_those_of_the_protocol_with_one_percent_lost(make) -> None:  # type: ignore[no-untyped-def]
    whole = evaluate(make([]), Fake(), progress=False)
    less = evaluate(make(lost()), Fake(), progress=False)
    made = make([])
    genuine = int(made.pairs[0].same.sum())
    mated = int((made.searches[0].probes % PEOPLE < PEOPLE // 2).sum())
    assert trials(whole) == trials(less)
    assert trials(less)["pairs accuracy"] == PAIRS
    assert trials(less)["pairs tar@0.1"] == genuine
    assert trials(less)["search rank1"] == trials(less)["search map"] == mated
    assert (less.data["images"], less.data["failed_images"]) == (IMAGES, IMAGES // 100)
    assert len(less.failures) == IMAGES // 100
    assert whole.failures == {}


def test_each_lost_pair_is_a_non_match_and_each_lost_probe_a_miss() -> None:
    """Counted by a plain loop over the pairs."""
    gone = set(lost())
    made = single_images(lost())
    task, search = made.pairs[0], made.searches[0]
    less = {
        f"{cell.task} {cell.measure}": cell for cell in evaluate(made, Fake(), progress=False).cells
    }
    touched = [
        bool(same)
        for left, right, same in zip(task.left, task.right, task.same, strict=True)
        if {int(left), int(right)} & gone
    ]
    assert less["pairs accuracy"].failures == len(touched)
    assert less["pairs tar@0.1"].failures == sum(touched)
    assert sum(touched) > 20
    enrolled = set(search.gallery.tolist()) - gone
    missed = 0
    for probe in search.probes.tolist():
        person = probe % PEOPLE
        if person < PEOPLE // 2 and (probe in gone or person not in enrolled):
            missed += 1
    assert less["search rank1"].failures == missed
    assert missed > 10


def test_an_evaluator_that_drops_what_failed_is_stopped() -> None:
    """The control: the careless way, which shrinks the denominators, does not get past the check."""
    made = single_images(lost())
    pooled = pool(embed_images(made, Fake(), progress=False), made.templates, Pooling())
    task = made.pairs[0]
    scores = pair_scores(pooled, task.left, task.right, "cosine")
    good = ~np.isnan(scores)
    assert good.sum() < PAIRS
    kept = replace(
        task,
        left=task.left[good],
        right=task.right[good],
        same=task.same[good],
        fold=task.fold[good],
    )
    cells = judge_pairs(kept, scores[good], made.templates.subjects)
    with pytest.raises(UserError, match="but the protocol has 6000: the result is not written"):
        check_pairs("made", task, cells)
    check_pairs("made", task, judge_pairs(task, scores, made.templates.subjects))
