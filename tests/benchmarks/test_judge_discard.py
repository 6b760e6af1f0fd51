"""Claims about error against discard in results: whose errors, whose uncertainty, and a flat one fails."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.made_up import Fake, OnDisk, all_pairs, benchmark
from urface.benchmarks.benchmark import NOBODY, SearchTask, Templates
from urface.benchmarks.evaluate import Options, evaluate
from urface.benchmarks.judge_discard import uncertainty_of
from urface.benchmarks.pool import Pooled
from urface.benchmarks.result import Result
from urface.metrics.rejection import error_versus_discard
from urface.metrics.verification import kfold_accuracy, tar_at_far
from urface.types import UserError

SUBJECTS = np.arange(80) % 8


def model(flat: bool = False, dims: int = 0) -> tuple[OnDisk, np.ndarray]:
    """Features whose noise grows with their variance, which is written beside them, unless it is flat."""
    rng = np.random.default_rng(2)
    noise = rng.uniform(0.3, 2.5, 80)
    values = rng.normal(size=(8, 16))[SUBJECTS] + noise[:, None] * rng.normal(size=(80, 16))
    stated = np.full(80, 0.1) if flat else noise**2
    stated = stated[:, None] * (1 + 0.001 * rng.random((80, 2)))
    if dims:
        stated = np.repeat(stated[:, :, None], dims, axis=2)
    keys = [f"{place}.jpg" for place in range(80)]
    made = OnDisk(keys, values.astype(np.float32), 2, stated.astype(np.float32))
    return made, stated.reshape(80, -1).mean(1)


def judged(task: object, **more: object) -> tuple[Result, np.ndarray]:
    made, unsure = model(**more)
    pairs, searches = ((), (task,)) if isinstance(task, SearchTask) else ((task,), ())
    source = benchmark(80, 8, pairs=pairs, searches=searches)
    options = Options(bootstrap=50, measures=())
    return evaluate(source, made, options, progress=False), unsure


def cosines(made: OnDisk, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    parts = made.vectors.astype(np.float64).reshape(80, 2, 8)
    parts /= np.linalg.norm(parts, axis=2, keepdims=True)
    return (parts[left] * parts[right]).sum(2).mean(1)


@pytest.mark.parametrize("dims", [0, 8])
def test_with_folds_it_is_wrong_answers_by_the_sum_of_both_variances(dims: int):
    task = all_pairs(SUBJECTS, ("accuracy",))
    result, unsure = judged(task, dims=dims)
    (row,) = result.rows("discard")
    errors = ~kfold_accuracy(
        cosines(model()[0], task.left, task.right), task.same, task.fold
    ).correct
    curve = error_versus_discard(errors, unsure[task.left] + unsure[task.right])
    assert row["curve"]["area"] == pytest.approx(curve.area, abs=1e-3)
    assert row["curve"]["gain"] == pytest.approx(curve.gain, abs=1e-2)
    assert row["interval"]["gain_low"] < curve.gain < row["interval"]["gain_high"]
    assert row["check"] == ""
    assert row["trials"] == len(task.left)


def test_without_folds_it_is_genuine_pairs_refused_at_the_lowest_rate_that_is_supported():
    task = all_pairs(SUBJECTS, ("tar@1e-5", "tar@0.02"))
    result, _unsure = judged(task)
    (row,) = result.rows("discard")
    assert row["errors"] == "genuine pairs refused at FMR 0.02"
    scores = cosines(model()[0], task.left, task.right)
    threshold = tar_at_far(scores, task.same, 0.02).threshold
    assert row["curve"]["rates"][0]["events"] == int((scores[task.same] < threshold - 1e-6).sum())
    assert row["trials"] == int(task.same.sum())


def test_of_a_search_it_is_probes_whose_mate_is_not_first():
    task = SearchTask("search", np.arange(8), np.arange(8, 80), ("rank1",))
    result, unsure = judged(task)
    (row,) = result.rows("discard")
    rank1 = result.cell("search", "rank1")
    assert row["curve"]["rates"][0]["events"] == rank1.trials - rank1.events
    scores = cosines(model()[0], np.repeat(np.arange(8, 80), 8), np.tile(np.arange(8), 72))
    errors = scores.reshape(72, 8).argmax(1) != SUBJECTS[8:]
    assert row["curve"]["area"] == pytest.approx(error_versus_discard(errors, unsure[8:]).area)


def test_a_flat_uncertainty_is_a_failed_check_and_not_a_curve():
    task = all_pairs(SUBJECTS, ("accuracy",))
    result, _ = judged(task, flat=True)
    (row,) = result.rows("discard")
    assert row["check"].startswith("failed: the uncertainty is flat")
    assert row["spread"] < 0.01
    assert row["curve"] is None


def test_a_model_without_variance_has_no_row():
    task = all_pairs(np.arange(40) % 8, ("accuracy",))
    assert not evaluate(benchmark(pairs=(task,)), Fake(), progress=False).rows("discard")
    with pytest.raises(UserError, match="gives no variance"):
        uncertainty_of(Pooled(np.ones((1, 1, 2)), None, np.ones(1, bool), np.empty(0)))


def test_probes_of_nobody_known_have_a_curve_and_no_interval():
    made, _ = model()
    subjects = SUBJECTS.copy()
    keys = [f"{place}.jpg" for place in range(80)]
    mates = np.stack([np.arange(8, 80), np.arange(72) % 8], 1)
    subjects[:] = NOBODY
    task = SearchTask("mates", np.arange(8), np.arange(8, 80), ("rank1",), mates=mates)
    source = benchmark(80, 8, searches=(task,), templates=Templates.of_images(keys, subjects))
    (row,) = evaluate(source, made, progress=False).rows("discard")
    assert row["curve"] is not None
    assert "no interval" in row["reason"]
