"""Claims about what answers rest on: probability, thresholds, and when there is none."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from urface.decision import Decision, Point, decision_of, fit_decision, unsure_above
from urface.types import UserError

GENUINE, IMPOSTOR = 2000, 40_000


def made(seed: int, genuine: int = GENUINE, impostor: int = IMPOSTOR) -> tuple[np.ndarray, ...]:
    """Scores whose true log-odds at a prior of a half are 2 * score - 2: means 2 and 0."""
    random = np.random.default_rng(seed)
    scores = np.concatenate([random.normal(2, 1, genuine), random.normal(0, 1, impostor)])
    return scores, np.arange(genuine + impostor) < genuine


@pytest.fixture(scope="module")
def decision() -> Decision:
    return fit_decision(*made(0), "likelihood", data="made-up scores")


def test_no_threshold_lets_more_impostors_pass_than_stated(decision: Decision) -> None:
    scores, same = made(0)
    assert [point.fmr for point in decision.thresholds] == [1e-1, 1e-2, 1e-3]
    for point in decision.thresholds:
        passed = int((scores[~same] >= point.threshold).sum())
        assert passed == point.false_matches <= point.fmr * IMPOSTOR
        assert point.impostor_pairs == IMPOSTOR
        assert point.true_matches == int((scores[same] >= point.threshold).sum())
        assert decision.threshold_at(point.fmr) == point.threshold


def test_a_rate_that_the_data_do_not_bear_has_no_threshold(decision: Decision) -> None:
    # 40,000 pairs allow 4 false matches at 1e-4, and 30 are needed.
    with pytest.raises(UserError, match=r"0\.0001 is not supported by the data"):
        decision.threshold_at(1e-4)
    many = fit_decision(*made(0, 200, 300_000), "likelihood", data="more")
    assert many.point_at(1e-4).false_matches == 30


def test_the_probability_is_the_share_of_genuine_pairs_at_other_scores(decision: Decision) -> None:
    scores = np.linspace(-1, 3, 9)
    truth = 1 / (1 + np.exp(-(2 * scores - 2)))
    np.testing.assert_allclose(decision.probability(scores), truth, atol=0.02)
    # Counted, on other pairs of which half are genuine.
    other, same = made(1, 20_000, 20_000)
    chance = decision.probability(other)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (chance >= low) & (chance < low + 0.2)
        assert same[inside].mean() == pytest.approx(chance[inside].mean(), abs=0.03)


def test_another_prior_moves_the_log_odds(decision: Decision) -> None:
    assert decision.prior == 0.5
    half, rare = decision.probability(1.5), decision.probability(1.5, prior=0.01)
    odds = half / (1 - half) * (0.01 / 0.99)
    assert float(rare) == pytest.approx(float(odds / (1 + odds)))
    assert "1 % show one person; fitted on made-up scores" in decision.meaning(0.01)
    with pytest.raises(UserError, match="prior"):
        decision.probability(1.5, prior=1.0)


def test_a_failed_comparison_has_no_probability(decision: Decision) -> None:
    assert np.isnan(decision.probability([math.nan, 1.0])).tolist() == [True, False]


def test_what_is_stored_is_what_is_read(decision: Decision) -> None:
    stored = json.loads(json.dumps(decision.to_dict()))
    again = decision_of({"decision": stored})
    assert again is not None
    assert again.to_dict() == decision.to_dict()
    assert math.isinf(again.unsure_above)
    np.testing.assert_array_equal(again.probability([0.5, 2]), decision.probability([0.5, 2]))


def test_a_model_that_was_never_calibrated_has_none() -> None:
    for facts in (None, {}, {"step": 7}, {"decision": None}):
        assert decision_of(facts) is None


def test_a_file_of_before_has_its_threshold_and_no_probability() -> None:
    old = {
        "method": "cosine",
        "false_match_rate": 0.01,
        "threshold": 0.4,
        "impostor_pairs": 3000,
        "false_matches": 30,
        "true_match_rate": {"events": 2000, "trials": 3000},
        "data": "old faces",
    }
    decision = decision_of({"calibration": old})
    assert decision is not None
    assert decision.method == "cosine"
    assert decision.threshold_at(0.01) == 0.4
    assert decision.point_at(0.01).true_matches == 2000
    assert not decision.has_probability
    with pytest.raises(UserError, match="no probabilities: run `urface evaluate"):
        decision.probability([0.4])
    assert not decision.unsure([99.0]).any()


def damaged() -> dict[str, dict]:
    good = fit_decision(*made(0, 200, 4000), "likelihood", data="x").to_dict()
    fit = good["calibration"]
    return {
        "no list": {"decision": 3},
        "a later format": {"decision": good | {"format": 9}},
        "no thresholds": {"decision": good | {"thresholds": []}},
        "a threshold that is no number": {
            "decision": good | {"thresholds": [good["thresholds"][0] | {"threshold": math.nan}]}
        },
        "more false matches than pairs": {
            "decision": good | {"thresholds": [good["thresholds"][0] | {"false_matches": 10**9}]}
        },
        "a threshold beyond all floats": json.loads(
            '{"decision": {"format": 1, "method": "likelihood", "thresholds": [{"fmr": 0.1, "threshold": 1, '
            '"false_matches": 1e999, "impostor_pairs": 9}], "data": "x"}}'
        ),
        "a falling slope": {"decision": good | {"calibration": fit | {"slope": -1.0}}},
        "an unknown method": {"decision": good | {"method": "luck"}},
        "an unknown fit": {"decision": good | {"calibration": fit | {"method": "isotonic"}}},
        "old and short": {"calibration": {"method": "cosine"}},
    }


@pytest.mark.parametrize("what", list(damaged()))
def test_a_damaged_decision_is_one_line(what: str) -> None:
    with pytest.raises(UserError, match="urface evaluate"):
        decision_of(damaged()[what])


def test_scores_that_tell_nobody_apart_are_refused() -> None:
    scores, same = made(0, 2000, 4000)
    with pytest.raises(UserError, match="tells nobody apart"):
        fit_decision(-scores, same, "likelihood", data="x")
    with pytest.raises(UserError, match="no threshold"):
        fit_decision(scores[:20], same[:20] & (np.arange(20) < 10), "likelihood", data="x")


def slow_limit(scores: np.ndarray, uncertainty: np.ndarray, threshold: float) -> float | None:
    best = None
    for cut in sorted(set(uncertainty.tolist())):
        above = [s for s, u in zip(scores, uncertainty, strict=True) if u > cut]
        missed = sum(not s >= threshold for s in above)
        if len(above) >= 30 and missed > 0.5 * len(above):
            best = cut if best is None else min(best, cut)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_above_the_limit_more_than_half_of_the_genuine_pairs_are_missed(seed: int) -> None:
    random = np.random.default_rng(seed)
    uncertainty = np.round(random.uniform(-4, 0, 400), 2)  # with ties
    scores = random.normal(-2 * uncertainty, 2.0)
    scores[:3] = math.nan  # a failure is a miss
    limit, rule = unsure_above(scores, uncertainty, 2.5, np.full(5, -9.0))
    assert limit == slow_limit(scores, uncertainty, 2.5)
    above = uncertainty > limit
    assert f"{int((~(scores[above] >= 2.5)).sum())} of {int(above.sum())} genuine" in rule


def test_without_such_a_limit_one_face_in_a_hundred_is_too_unsure() -> None:
    uncertainty = np.linspace(-4, 0, 200)
    limit, rule = unsure_above(np.full(200, 9.0), uncertainty, 2.5, uncertainty)
    assert limit == pytest.approx(np.quantile(uncertainty, 0.99))
    assert "99th percentile of 200 faces" in rule
    # Nor where the rule would leave more than half of the faces without an answer.
    assert unsure_above(np.zeros(200), uncertainty, 2.5, uncertainty)[0] == limit


@pytest.mark.parametrize(
    ("rates", "usual"), [((1e-1, 1e-3, 1e-4), 1e-3), ((1e-2, 1e-4), 1e-2), ((1e-4, 1e-5), 1e-4)]
)
def test_a_verdict_stands_on_one_in_a_thousand_or_the_nearest_above(
    rates: tuple[float, ...], usual: float
) -> None:
    points = tuple(Point(rate, 1.0, 1, 100) for rate in rates)
    point = Decision("likelihood", points, "made").usual_point()
    assert point is not None
    assert point.fmr == usual
    assert Decision("likelihood", (), "made").usual_point() is None
