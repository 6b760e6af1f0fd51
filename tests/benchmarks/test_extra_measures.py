"""Claims about measures asked for beside a protocol's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.made_up import Fake, all_pairs, benchmark
from urface.benchmarks import judge_search, search
from urface.benchmarks.benchmark import SearchTask
from urface.benchmarks.evaluate import Options, evaluate
from urface.benchmarks.extra_measures import with_measures
from urface.types import UserError

PAIRS = (all_pairs(np.arange(40) % 8, ("eer", "tar@0.001")),)
SEARCH = (SearchTask("search", np.arange(8), np.arange(8, 40), ("rank1",)),)


def test_a_measure_is_added_where_it_can_be_taken_and_not_twice():
    source = benchmark(pairs=PAIRS, searches=SEARCH)
    more = with_measures(source, ("tar@1e-3", "fnmr@0.1", "rank5", "map"))
    assert more.pairs[0].measures == ("eer", "tar@0.001", "fnmr@0.1")
    assert more.searches[0].measures == ("rank1", "tar@1e-3", "fnmr@0.1", "rank5", "map")
    assert with_measures(source, ()) is source


def test_a_measure_that_no_task_has_is_refused():
    with pytest.raises(UserError, match="a measure of a search, which made does not have"):
        with_measures(benchmark(pairs=PAIRS), ("rank1",))
    with pytest.raises(UserError, match="a measure of pairs"):
        with_measures(benchmark(searches=SEARCH), ("accuracy",))
    with pytest.raises(UserError, match="is no measure"):
        with_measures(benchmark(pairs=PAIRS), ("f1",))


def test_a_rate_that_needs_too_many_scores_is_withheld_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
):
    source, options = benchmark(searches=SEARCH), Options(measures=("fnmr@0.5", "tar@0.1"))
    whole = evaluate(source, Fake(), options, progress=False)
    for module in (search, judge_search):
        monkeypatch.setattr(module, "MOST_KEPT", 60)  # of 256 comparisons
    result = evaluate(source, Fake(), options, progress=False)
    withheld = result.cell("search", "fnmr@0.5")
    assert withheld.value is None
    assert "too many to hold" in withheld.reason
    assert whole.cell("search", "fnmr@0.5").value is not None
    for name in ("rank1", "tar@0.1"):
        assert result.cell("search", name) == whole.cell("search", name)


def test_the_fields_reading_of_tar_is_given_by_its_name():
    options = Options(measures=("tar_nearest@0.1", "tar@0.1"))
    result = evaluate(benchmark(pairs=PAIRS), Fake(), options, progress=False)
    nearest, ours = result.cell("all", "tar_nearest@0.1"), result.cell("all", "tar@0.1")
    assert nearest.trials == ours.trials
    assert abs(nearest.value - ours.value) < 0.2
    assert nearest.threshold_from.startswith("same set (tar_nearest@0.1 of all reaches a FAR of ")
    strict = replace(PAIRS[0], measures=("tar_nearest@1e-6",))
    (cell,) = evaluate(benchmark(pairs=(strict,)), Fake(), Options(), progress=False).cells
    assert cell.value is not None
    assert "not supported" in cell.threshold_from
