from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from urface.metrics.average_precision import average_precisions, mean_average_precision
from urface.types import UserError

Search = tuple[np.ndarray, np.ndarray, np.ndarray]


def searches(count: int, seed: int, ties: bool = True) -> Iterator[Search]:
    """Scores [N, M], probe_ids, gallery_ids: tiny ones, ones full of ties, ones with failures."""
    rng = np.random.default_rng(seed)
    for turn in range(count):
        people = int(rng.integers(1, 3 if turn % 5 == 0 else 12))
        gallery = rng.permutation(np.concatenate([np.arange(people), rng.integers(0, people, 25)]))
        gallery = np.concatenate([gallery, np.full(int(rng.integers(0, 20)), -100)])
        probes = rng.integers(0, people, int(rng.integers(1, 9)))
        scores = rng.normal(size=(len(probes), len(gallery)))
        scores += rng.uniform(0, 3) * (probes[:, None] == gallery)
        if ties and turn % 3 == 1:
            scores = np.round(scores)
        if ties and turn % 11 == 2:
            scores[:] = 0.5
        if ties and turn % 2:
            scores[rng.random(scores.shape) < rng.uniform(0, 0.3)] = np.nan
        if ties and turn % 7 == 3:
            scores[0] = np.nan
        yield scores, probes, gallery


def walked(line: list[float], mate: list[bool], trapezoid: bool) -> float:
    """The precision along the recall, one gallery entry after the other."""
    entries = [entry for entry in zip(line, mate, strict=True) if not math.isnan(entry[0])]
    entries.sort(key=lambda entry: (-entry[0], entry[1]))  # of ties the mates last
    area, recall, precision, found = 0.0, 0.0, 1.0, 0
    for place, (_, is_mate) in enumerate(entries, start=1):
        found += is_mate
        here = found / place
        width = found / sum(mate) - recall
        area += width * ((precision + here) / 2 if trapezoid else here)
        recall, precision = found / sum(mate), here
    return area


@pytest.mark.parametrize("rule", ["trapezoid", "step"])
def test_average_precision_equals_a_walk_down_the_list(rule: str) -> None:
    for scores, probes, gallery in searches(1000, seed=1):
        values, failed = average_precisions(scores, probes, gallery, rule=rule)  # type: ignore[arg-type]
        for row, probe in enumerate(probes):
            mate = gallery == probe
            expected = walked(scores[row].tolist(), mate.tolist(), rule == "trapezoid")
            assert values[row] == pytest.approx(expected, abs=1e-12)
            assert failed[row] == np.isnan(scores[row, mate]).all()


def test_the_step_rule_equals_sklearn_where_no_scores_tie() -> None:
    for scores, probes, gallery in searches(100, seed=2, ties=False):
        values, _ = average_precisions(scores, probes, gallery, rule="step")
        for row, probe in enumerate(probes):
            expected = average_precision_score(gallery == probe, scores[row])
            assert values[row] == pytest.approx(expected, abs=1e-12)


def test_many_mates_and_few_are_counted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    for scores, probes, gallery in searches(100, seed=3):
        usual, _ = average_precisions(scores, probes, gallery)
        monkeypatch.setattr("urface.metrics.average_precision.FEW", 0)
        searched, _ = average_precisions(scores, probes, gallery)
        monkeypatch.undo()
        assert usual.tolist() == searched.tolist()


def test_a_probe_by_hand() -> None:
    # Mates at places 1 and 3: (1 + 1) / 2 and (1/2 + 2/3) / 2, over two mates.
    scores, gallery = np.array([[0.9, 0.8, 0.7, 0.1]]), [7, 1, 7, 1]
    values, _ = average_precisions(scores, [7], gallery)
    assert values[0] == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2, abs=1e-15)
    values, _ = average_precisions(scores, [7], gallery, rule="step")
    assert values[0] == pytest.approx((1 + 2 / 3) / 2, abs=1e-15)


def test_blocks_of_rows_give_what_the_matrix_gives() -> None:
    for scores, probes, gallery in searches(60, seed=4):
        whole = mean_average_precision(scores, probes, gallery, resamples=20)
        blocks = (scores[row : row + 2] for row in range(0, len(scores), 2))
        assert mean_average_precision(blocks, probes, gallery, resamples=20) == whole


def test_a_probe_without_a_score_counts_zero_and_stays_in_the_denominator() -> None:
    scores = np.array([[0.9, 0.1], [np.nan, np.nan]])
    result = mean_average_precision(scores, ["a", "b"], ["a", "b"])
    assert (result.value, result.probes, result.failures) == (0.5, 2, 1)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["rule"] == "trapezoid"


def test_the_interval_draws_people_and_not_probes() -> None:
    """A person of 50 alike probes says no more than one of one probe."""
    rng = np.random.default_rng(5)
    people = np.repeat(np.arange(20), 50)
    scores = rng.normal(size=(20, 20))[people] + 1.5 * np.eye(20)[people]
    by_people = mean_average_precision(scores, people, np.arange(20))
    values, _ = average_precisions(scores, people, np.arange(20))
    by_probes = np.quantile([rng.choice(values, 1000).mean() for _ in range(300)], [0.025, 0.975])
    assert by_people.low is not None
    assert by_people.high is not None
    assert by_people.low < by_people.value < by_people.high
    assert by_people.high - by_people.low > 4 * (by_probes[1] - by_probes[0])


def test_a_perfect_search_is_no_surer_than_its_people() -> None:
    result = mean_average_precision(np.eye(4), range(4), range(4))
    assert (result.value, result.high) == (1.0, 1.0)
    assert result.low == pytest.approx(0.025 ** (1 / 4))
    alone = mean_average_precision(np.eye(1), [3], [3])
    assert (alone.value, alone.low, alone.high) == (1.0, None, None)


@pytest.mark.parametrize(
    ("scores", "probes", "message"),
    [
        (np.zeros((1, 2)), [9], "1 probes are of nobody"),
        (np.zeros((2, 2)), [1], "more rows of scores"),
        (np.zeros((1, 2)), [1, 1], "1 rows of scores for 2 probes"),
        (np.zeros((1, 3)), [1], "one column per gallery entry"),
        (np.full((1, 2), np.inf), [1], "infinite"),
    ],
)
def test_what_does_not_fit_is_refused(scores: np.ndarray, probes: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        mean_average_precision(scores, probes, [1, 2])
