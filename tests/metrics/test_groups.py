from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pytest

from urface.metrics.groups import group_table
from urface.metrics.intervals import clopper_pearson
from urface.types import UserError


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = 400
    same = rng.random(count) < 0.5
    groups = rng.choice(["a", "b", "c", ""], (count, 2), p=[0.4, 0.3, 0.2, 0.1])
    keep = same & (rng.random(count) < 0.95)  # a few genuine pairs are labelled apart
    groups[keep, 1] = groups[keep, 0]
    scores = rng.normal(size=count) + 2.0 * same
    scores[rng.random(count) < 0.1] = np.nan
    return scores, same, groups


def test_each_group_equals_plain_counting() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        scores, same, groups = draw(rng)
        threshold = float(rng.normal(1))
        table = group_table(scores, same, groups, threshold, min_trials=1)
        trials = list(zip(scores.tolist(), same.tolist(), *groups.T.tolist(), strict=True))
        for row in table.rows:
            mine = [(s, g) for s, g, a, b in trials if a == b == row.group]
            assert row.fnmr.trials == sum(g for _, g in mine)
            assert row.fnmr.events == sum(not s >= threshold for s, g in mine if g)
            assert row.fmr.trials == sum(not g for _, g in mine)
            assert row.fmr.events == sum(s >= threshold for s, g in mine if not g)
            assert row.fmr.failures == sum(math.isnan(s) for s, g in mine if not g)
            if row.fmr.value is not None:
                assert (row.fmr.low, row.fmr.high) == clopper_pearson(
                    row.fmr.events, row.fmr.trials
                )
            assert row.fta is None
        found = {row.group: row.fmr.trials for row in table.between}
        for one, other in product("abc", "abc"):
            if one < other:
                expected = sum({a, b} == {one, other} and not g for _, g, a, b in trials)
                assert found[f"{one} x {other}"] == expected
        everything = sum(r.fmr.trials + r.fnmr.trials for r in (*table.rows, *table.between))
        assert everything + table.unknown == len(scores)
        assert table.all.fmr.trials + table.all.fnmr.trials == len(scores)
        assert json.loads(json.dumps(table.to_dict(), allow_nan=False))


def test_a_group_of_few_trials_is_withheld_and_takes_no_part() -> None:
    rng = np.random.default_rng(2)
    same = np.arange(900) % 2 == 0
    groups = np.repeat(["a", "b", "tiny"], [440, 440, 20])
    scores = rng.normal(size=900) + 2.0 * same
    scores[880:] = np.nan  # it would be the worst by far
    table = group_table(scores, same, np.stack([groups, groups], 1), 1.0)
    tiny = table.rows[-1]
    assert tiny.group == "tiny"
    assert tiny.fnmr.value is None
    assert "at least 100 are needed" in tiny.fnmr.reason
    assert (table.fnmr.groups, table.fnmr.worst in ("a", "b")) == (2, True)


def test_the_ratio_is_the_worst_over_the_median() -> None:
    missed = {"a": 10, "b": 20, "c": 80}
    scores, same, groups = [], [], []
    for name, count in missed.items():
        scores += [0.0] * count + [1.0] * (200 - count) + [0.0] * 200
        same += [True] * 200 + [False] * 200
        groups += [name] * 400
    table = group_table(
        np.array(scores), np.array(same), np.stack([groups, groups], 1), 0.5, min_trials=100
    )
    assert table.fnmr.ratio == 4.0
    assert table.fnmr.worst == "c"
    assert table.fnmr.low is not None
    assert 1 < table.fnmr.low < 4
    assert table.fmr.ratio is None  # the median group has no false match
    assert table.fmr.groups == 3


def test_failures_to_acquire_are_counted_by_group() -> None:
    scores, same = np.array([0.9, 0.1]), np.array([True, False])
    table = group_table(
        scores,
        same,
        np.array([["a", "a"], ["a", "a"]]),
        0.5,
        image_groups=["a", "a", "b", "", "b"],
        acquired=np.array([True, False, False, False, True]),
        min_trials=1,
    )
    by_name = {row.group: row.fta for row in table.rows}
    assert by_name["a"] is not None
    assert by_name["b"] is not None
    assert (by_name["a"].events, by_name["a"].trials) == (1, 2)
    assert (by_name["b"].events, by_name["b"].trials) == (1, 2)
    assert table.all.fta is not None
    assert (table.all.fta.events, table.all.fta.trials) == (3, 5)
    assert table.rows[1].fmr.reason == "no such pair"


def test_what_does_not_fit_is_refused() -> None:
    scores, same = np.zeros(2), np.array([True, False])
    with pytest.raises(UserError, match=r"groups must be \[2, 2\]"):
        group_table(scores, same, ["a", "b"], 0.5)  # type: ignore[list-item]
    with pytest.raises(UserError, match="go together"):
        group_table(scores, same, np.full((2, 2), "a"), 0.5, image_groups=["a"])
    with pytest.raises(UserError, match="must be a number"):
        group_table(scores, same, np.full((2, 2), "a"), math.nan)
