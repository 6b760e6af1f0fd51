from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from urface.metrics.calibration import fit_calibration, transfer_threshold
from urface.types import UserError

Sets = Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]


def usable(random_sets: Sets, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sets that a calibration takes: both kinds have a score, and not all scores are equal."""
    for scores, same in random_sets(count, seed=seed):
        known = ~np.isnan(scores)
        if (known & same).any() and (known & ~same).any() and np.ptp(scores[known]) > 0:
            yield scores, same


def weights_for(prior: float | None, kinds: np.ndarray) -> np.ndarray:
    if prior is None:
        return np.ones(len(kinds))
    return np.where(kinds, prior / kinds.mean(), (1 - prior) / (1 - kinds.mean()))


@pytest.mark.parametrize("prior", [None, 0.02])
def test_the_isotonic_fit_equals_sklearn(random_sets: Sets, prior: float | None) -> None:
    for scores, same in usable(random_sets, 500, seed=1):
        known = ~np.isnan(scores)
        theirs = IsotonicRegression(out_of_bounds="clip").fit(
            scores[known].astype(np.float64),
            same[known].astype(np.float64),
            sample_weight=weights_for(prior, same[known]),
        )
        ours = fit_calibration(scores, same, "isotonic", prior)
        asked = np.concatenate([scores[known], np.linspace(-4, 6, 50)]).astype(np.float64)
        assert np.abs(ours.probability(asked) - theirs.predict(asked)).max() <= 1e-12


def pooled(scores: list[float], kinds: list[bool]) -> dict[float, float]:
    """Pool adjacent violators by hand: merge neighbouring blocks while one does not rise."""
    blocks: list[list[float]] = []  # true, all, and then the scores in it
    for value in sorted(set(scores)):
        of_value = [k for s, k in zip(scores, kinds, strict=True) if s == value]
        blocks.append([sum(of_value), len(of_value), value])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [
                blocks[-1][0] + last[0],
                blocks[-1][1] + last[1],
                *blocks[-1][2:],
                *last[2:],
            ]
    return {value: true / count for true, count, *values in blocks for value in values}


def test_the_isotonic_fit_equals_pooling_by_hand(random_sets: Sets) -> None:
    for scores, same in usable(random_sets, 300, seed=2):
        known = ~np.isnan(scores)
        expected = pooled(scores[known].tolist(), same[known].tolist())
        ours = fit_calibration(scores, same, "isotonic")
        found = ours.probability(np.array(list(expected)))
        assert np.abs(found - list(expected.values())).max() <= 1e-12


@pytest.mark.parametrize("prior", [None, 0.1])
def test_the_logistic_fit_has_the_least_cross_entropy(
    random_sets: Sets, prior: float | None
) -> None:
    for scores, same in usable(random_sets, 60, seed=3):
        known = ~np.isnan(scores)
        x, kinds = scores[known].astype(np.float64), same[known]
        targets = np.where(kinds, (kinds.sum() + 1) / (kinds.sum() + 2), 1 / ((~kinds).sum() + 2))
        weights = weights_for(prior, kinds)

        def loss(
            at: np.ndarray, x: np.ndarray = x, t: np.ndarray = targets, w: np.ndarray = weights
        ) -> float:
            odds = at[0] * x + at[1]
            return float((w * (np.logaddexp(0, odds) - t * odds)).sum())

        ours = fit_calibration(scores, same, "logistic", prior)
        best = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 4000}).fun
        assert loss(np.array([ours.slope, ours.offset])) <= best + 1e-9


def test_the_logistic_fit_finds_the_truth_of_two_normals() -> None:
    """Two normals of unit variance, 2 apart: the log-odds are 2 x - 2 at even odds."""
    rng = np.random.default_rng(4)
    same = rng.random(200_000) < 0.5
    fit = fit_calibration(rng.normal(size=200_000) + 2.0 * same, same, prior=0.5)
    assert (fit.slope, fit.offset) == pytest.approx((2.0, -2.0), abs=0.05)


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_a_prior_of_fitting_and_one_set_later_agree(method: str) -> None:
    rng = np.random.default_rng(5)
    same = rng.random(100_000) < 0.3
    scores = rng.normal(size=100_000) + 2.0 * same
    at_once = fit_calibration(scores, same, method, prior=0.01)  # type: ignore[arg-type]
    later = fit_calibration(scores, same, method).at_prior(0.01)  # type: ignore[arg-type]
    asked = np.linspace(-1, 3, 20)
    assert later.prior == 0.01
    assert later.probability(asked) == pytest.approx(at_once.probability(asked), abs=0.003)
    back = later.at_prior(same.mean()).probability(asked)
    assert back == pytest.approx(
        fit_calibration(scores, same, method).probability(asked), abs=1e-12  # type: ignore[arg-type]
    )  # fmt: skip


def test_sets_without_overlap_have_a_finite_slope() -> None:
    fit = fit_calibration(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert math.isfinite(fit.slope)
    assert fit.slope > 0
    assert 0 < fit.probability(np.array([0.15]))[0] < 0.5 < fit.probability(np.array([0.85]))[0] < 1


def test_a_failed_comparison_has_no_probability_and_takes_no_part() -> None:
    scores, same = np.array([0.1, 0.4, 0.3, 0.9]), np.array([False, True, False, True])
    fit = fit_calibration(scores, same)
    more = fit_calibration(np.append(scores, [np.nan, np.nan]), np.append(same, [True, False]))
    assert (fit.slope, fit.genuine, fit.impostor) == (more.slope, 2, 2)
    assert np.isnan(fit.probability(np.array([np.nan, 0.1]))).tolist() == [True, False]
    assert json.loads(json.dumps(fit.to_dict(), allow_nan=False))["prior"] == 0.5


def test_what_cannot_be_calibrated_is_refused() -> None:
    same = np.array([True, False])
    with pytest.raises(UserError, match="that have a score"):
        fit_calibration(np.array([np.nan, 0.3]), same)
    with pytest.raises(UserError, match="all scores are equal"):
        fit_calibration(np.zeros(2), same)
    with pytest.raises(UserError, match="a prior must lie"):
        fit_calibration(np.array([1.0, 0.0]), same, prior=1.0)
    with pytest.raises(UserError, match="logistic or isotonic"):
        fit_calibration(np.array([1.0, 0.0]), same, "spline")  # type: ignore[arg-type]


def test_a_threshold_holds_on_like_data_and_not_on_harder_ones() -> None:
    rng = np.random.default_rng(6)
    same = np.arange(20_000) < 10_000
    fit, like, harder = (
        rng.normal(size=20_000) + 3.0 * same + shift * ~same for shift in (0, 0, 0.5)
    )
    on_like = transfer_threshold(fit, same, like, same, 0.01)
    on_harder = transfer_threshold(fit, same, harder, same, 0.01)
    assert on_like.fitted.events == 100
    assert on_like.held
    assert on_harder.held is False
    assert on_harder.fmr.value == pytest.approx(1 - 0.9659, abs=0.01)
    assert json.loads(json.dumps(on_like.to_dict(), allow_nan=False))["held"] is True
    few = transfer_threshold(fit[9_900:10_100], same[9_900:10_100], like, same, 0.01)
    assert (few.threshold, few.held, few.fmr.value) == (None, None, None)


def test_the_log_odds_of_the_logistic_fit_are_a_line() -> None:
    fit = fit_calibration(np.array([0.0, 0.4, 0.3, 1.0]), np.array([False, True, False, True]))
    asked = np.linspace(-1, 2, 7)
    assert logit(fit.probability(asked)) == pytest.approx(fit.slope * asked + fit.offset, abs=1e-9)
    assert fit.probability(np.array([1e6]))[0] == expit(np.inf)
