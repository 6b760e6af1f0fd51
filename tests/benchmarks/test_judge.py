"""Claims about cells: counts that add up, groups, and what is withheld."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.made_up import Fake, all_pairs, benchmark
from urface.benchmarks.benchmark import PairTask
from urface.benchmarks.cell import Cell, average, parse_measure
from urface.benchmarks.evaluate import Options, evaluate
from urface.benchmarks.judge import check_pairs, check_search
from urface.benchmarks.judge_pairs import judge_pairs
from urface.metrics.curves import auc, eer
from urface.metrics.verification import kfold_accuracy, tar_at_far
from urface.types import UserError

SUBJECTS = np.arange(40) % 8
MEASURES = ("accuracy", "eer", "auc", "tar@0.1", "fnmr@0.1", "tar@1e-6")


def scores(task: PairTask, failed: int = 5) -> np.ndarray:
    found = np.random.default_rng(0).normal(size=len(task.left)) + 1.5 * task.same
    found[:failed] = np.nan
    return found


def test_cells_of_pairs_are_what_the_metrics_say():
    task = all_pairs(SUBJECTS, MEASURES)
    made = scores(task)
    cells = {cell.measure: cell for cell in judge_pairs(task, made, SUBJECTS)}
    accuracy = kfold_accuracy(made, task.same, task.fold).pooled
    assert (cells["accuracy"].value, cells["accuracy"].low) == (accuracy.value, accuracy.low)
    assert cells["accuracy"].threshold_from == "the other folds"
    assert cells["eer"].value == eer(made, task.same).value
    assert cells["auc"].value == auc(made, task.same).value
    tar = tar_at_far(made, task.same, 0.1)
    assert (cells["tar@0.1"].events, cells["tar@0.1"].threshold) == (tar.tar.events, tar.threshold)
    assert cells["tar@0.1"].threshold_from == "same set"
    assert cells["fnmr@0.1"].value == pytest.approx(1 - tar.tar.value)
    assert cells["fnmr@0.1"].low == pytest.approx(1 - tar.tar.high)
    assert all(cell.failures <= 5 for cell in cells.values())
    check_pairs("made", task, list(cells.values()))


def test_a_rate_that_the_pairs_cannot_support_is_withheld_with_its_reason():
    task = all_pairs(SUBJECTS, MEASURES)
    cell = judge_pairs(task, scores(task), SUBJECTS)[-1]
    assert cell.value is None
    assert "30 are needed" in cell.reason
    assert cell.trials == int(task.same.sum())


def test_a_bootstrap_by_subject_changes_the_interval_and_not_the_value():
    task = all_pairs(SUBJECTS, ("accuracy", "tar@0.1", "fnmr@0.1"))
    made = scores(task)
    plain = judge_pairs(task, made, SUBJECTS)
    drawn = judge_pairs(task, made, SUBJECTS, resamples=200, seed=1)
    for a, b in zip(plain, drawn, strict=True):
        assert a.value == b.value
        assert (a.low, a.high) != (b.low, b.high)
        assert b.interval == "bootstrap by subject, 200 draws"
    assert judge_pairs(task, made, SUBJECTS, resamples=200, seed=1) == drawn


def test_counts_that_do_not_add_up_are_an_error():
    task = all_pairs(SUBJECTS, ("accuracy", "tar@0.1"))
    cells = judge_pairs(task, scores(task), SUBJECTS)
    for broken in (
        [replace(cells[0], trials=cells[0].trials - 1), cells[1]],
        [cells[0], replace(cells[1], trials=cells[1].trials + 1)],
        [cells[0], replace(cells[1], failures=cells[1].trials + 1)],
    ):
        with pytest.raises(UserError, match="the protocol has"):
            check_pairs("made", task, broken)
    with pytest.raises(UserError, match=r"scores for 780 pairs"):
        judge_pairs(task, scores(task)[1:], SUBJECTS)


def test_a_search_with_a_probe_left_out_is_an_error():
    from urface.benchmarks.benchmark import SearchTask

    task = SearchTask("s", np.arange(8), np.arange(8, 40), ("rank1",))
    good = Cell("s", "rank1", 0.5, 0.4, 0.6, 16, 32)
    check_search("made", task, SUBJECTS, [good])
    with pytest.raises(UserError, match="31 trials"):
        check_search("made", task, SUBJECTS, [replace(good, trials=31)])


def test_a_group_is_the_mean_over_its_parts_and_keeps_them():
    parts = tuple(
        replace(all_pairs(SUBJECTS, ("tar@0.1",), f"split {i}", "FP"), same=same)
        for i, same in enumerate(
            [all_pairs(SUBJECTS, ()).same, np.roll(all_pairs(SUBJECTS, ()).same, 1)]
        )
    )
    result = evaluate(benchmark(pairs=parts), Fake(), progress=False)
    one, two, both = result.cells
    assert (one.task, two.task, both.task) == ("split 0", "split 1", "FP")
    assert both.value == pytest.approx((one.value + two.value) / 2)
    assert both.std == pytest.approx(np.std([one.value, two.value], ddof=1))
    assert both.low == pytest.approx((one.low + two.low) / 2)
    assert (both.parts, both.trials) == (2, one.trials + two.trials)


def test_a_group_is_withheld_where_one_part_is():
    good = Cell("a", "rank1", 0.5, 0.4, 0.6, 5, 10)
    lacking = Cell("b", "rank1", None, None, None, None, 10, reason="too few")
    assert average("g", [good, lacking]).reason == "b: too few"


def test_one_kind_of_pair_and_no_folds_are_withheld():
    task = all_pairs(SUBJECTS, ("accuracy", "tar@0.1"))
    only = replace(task, same=np.ones_like(task.same))
    cells = judge_pairs(only, scores(only), SUBJECTS)
    assert {cell.reason for cell in cells} == {"there is no impostor pair"}
    check_pairs("made", only, cells)
    flat = replace(task, fold=np.zeros_like(task.fold))
    assert judge_pairs(flat, scores(flat), SUBJECTS)[0].reason == "the protocol has no folds"


@pytest.mark.parametrize("word", ["tar", "tar@", "tar@0", "tar@2", "tar@x", "rank0", "rank", "f1"])
def test_an_unknown_measure_is_refused(word):
    with pytest.raises(UserError, match="is no measure"):
        parse_measure(word)


def test_a_measure_of_the_other_kind_is_refused():
    task = all_pairs(SUBJECTS, ("rank1",))
    with pytest.raises(UserError, match="measure of a search"):
        judge_pairs(task, scores(task), SUBJECTS)


def test_a_template_without_an_image_stays_in_every_denominator():
    task = all_pairs(SUBJECTS, ("accuracy", "tar@0.1"))
    whole = evaluate(benchmark(pairs=(task,)), Fake(), progress=False)
    broken = evaluate(benchmark(pairs=(task,), damaged=(0, 9)), Fake(), progress=False)
    for a, b in zip(whole.cells, broken.cells, strict=True):
        assert a.trials == b.trials
    assert broken.cells[0].failures == 39 + 38
    assert broken.data["failed_images"] == broken.data["failed_templates"] == 2
    assert broken.failures == {"0.jpg": "0.jpg: truncated", "9.jpg": "9.jpg: truncated"}


def test_a_likelihood_score_wants_a_model_with_variances():
    task = all_pairs(SUBJECTS, ("auc",))
    with pytest.raises(UserError, match="gives no variance"):
        evaluate(benchmark(pairs=(task,)), Fake(), Options(score="likelihood"), progress=False)
    with_variance = Fake(2, 4, variance=True)
    result = evaluate(
        benchmark(pairs=(task,)), with_variance, Options(score="likelihood"), progress=False
    )
    assert result.cells[0].value is not None
