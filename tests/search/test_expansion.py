"""The expansion of the likelihood score: right within its bound, on grids and on faces."""

from __future__ import annotations

import numpy as np
import pytest

from search.made import D, K, faces, loop, shared, unit
from urface.scoring import score_matrix
from urface.search import expand_gallery, expand_probe, fit_expansion
from urface.search.expansion import zolotarev_points
from urface.types import UserError

RANGES = [(1e-3, 1e-2), (3e-4, 3e-2), (1e-6, 1e-2), (0.5, 0.5), (20.0, 1e4)]


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("terms", [1, 2, 3, 5, 8])
def test_both_kernels_stay_within_their_bounds_and_reach_them(low, high, terms):
    plan = fit_expansion(low, high, (K, D), terms=terms, log_terms=terms)
    a = np.exp(np.random.default_rng(0).uniform(np.log(plan.low), np.log(plan.high), 700))
    a = np.concatenate([a, np.geomspace(plan.low, plan.high, 801)])  # its ends too
    p, g = plan.distance_terms(a), plan.log_terms(a)
    relative = np.abs(1.0 - (a[:, None] + a) * (p @ p.T)).max()
    assert relative <= plan.distance_error * (1 + 1e-6) + 1e-9
    assert relative >= 0.9 * plan.distance_error - 1e-9  # the bound is no larger than it must be
    c = plan.centre
    logs = np.log(a[:, None] + c) + np.log(a + c) - np.log(2 * c) - g @ g.T
    assert 0.5 * K * D * np.abs(np.log(a[:, None] + a) - logs).max() <= plan.log_error * 1.01 + 1e-8


def test_what_is_left_of_the_first_kernel_has_the_form_that_the_bound_is_read_from():
    plan = fit_expansion(0.003, 0.03, (K, D), terms=3)
    a = np.geomspace(plan.low, plan.high, 50)[:, None]
    p = plan.distance_terms(a[:, 0])
    ratio = np.prod((a - plan.points) / (a + plan.points), axis=1)
    np.testing.assert_allclose(
        1 / (a + a.T) - p @ p.T, ratio[:, None] * ratio / (a + a.T), atol=1e-11 / plan.low
    )


def test_zolotarev_points_beat_points_spaced_evenly_in_the_logarithm():
    grid = np.geomspace(1.0, 100.0, 5000)[:, None]

    def share(points: np.ndarray) -> float:
        return float(np.abs(np.prod((grid - points) / (grid + points), axis=1)).max())

    best = share(zolotarev_points(1.0, 100.0, 4))
    assert best < 0.75 * share(np.geomspace(1.0, 100.0, 4))
    # Equal ripples, one more than there are points: that is what no other points can undercut.
    values = np.prod(
        (grid - zolotarev_points(1.0, 100.0, 4)) / (grid + zolotarev_points(1, 100, 4)), 1
    )
    peaks = [
        abs(part).max() for part in np.split(values, np.flatnonzero(np.diff(np.sign(values))) + 1)
    ]
    np.testing.assert_allclose(peaks, best, rtol=1e-4)
    assert len(peaks) == 5


@pytest.mark.parametrize("factor", [10.0, 100.0])
def test_inner_products_of_faces_are_scores_within_the_error_that_the_plan_states(factor):
    a, b = faces(np.arange(12), 1, factor), faces(np.arange(30), 2, factor)
    plan = fit_expansion(0.03 / factor, 0.03001, (K, D))
    exact = loop(a, b)
    total = a.variance[:, None].astype(float) + b.variance
    logs = 0.5 * D * np.log(total).sum(2)
    allowed = plan.error(-exact - logs)
    got = expand_probe(a, plan).astype(float) @ expand_gallery(b, plan).astype(float).T
    rounding = 1e-6 * np.abs(expand_probe(a, plan)) @ np.abs(expand_gallery(b, plan)).T
    assert (np.abs(got - exact) <= allowed + rounding).all()
    # Control: with a term less it is not within them.
    less = fit_expansion(0.03 / factor, 0.03001, (K, D), terms=len(plan.points) - 1)
    worse = expand_probe(a, less).astype(float) @ expand_gallery(b, less).astype(float).T
    assert not (np.abs(worse - exact) <= allowed + rounding).all()


@pytest.mark.parametrize(
    ("factor", "terms", "agree"), [(10, 3, 0.996), (10, 4, 0.9995), (100, 5, 0.997)]
)
def test_the_first_ten_by_inner_product_are_the_exact_first_ten(factor, terms, agree):
    gallery, probes = faces(np.arange(4000), 1, factor), faces(np.arange(0, 4000, 20), 2, factor)
    exact = np.argsort(-score_matrix(probes, gallery), axis=1)[:, :10]

    def order(count: int) -> np.ndarray:
        plan = fit_expansion(0.03 / factor, 0.03001, (K, D), terms=count)
        return np.argsort(-(expand_probe(probes, plan) @ expand_gallery(gallery, plan).T), axis=1)

    assert shared(order(terms)[:, :10], exact) >= agree
    assert shared(order(terms)[:, :100], exact) == 1.0  # of which exact scores find them
    assert shared(order(1)[:, :10], exact) < 0.95  # control: with one term it is far from them


def test_the_fewest_terms_are_chosen_that_keep_within_the_error_asked_for():
    found = [
        len(fit_expansion(1e-3, 1e-3 * factor, (K, D), distance_error=0.002).points)
        for factor in (2, 10, 100, 1e4)
    ]
    assert found == [2, 3, 5, 9]
    plan = fit_expansion(1e-3, 1e-2, (K, D), distance_error=0.002)
    assert plan.distance_error <= 0.002 < fit_expansion(1e-3, 1e-2, (K, D), terms=2).distance_error
    assert plan.log_error <= 0.02


def test_a_mean_that_is_not_quite_of_unit_length_is_expanded_as_if_it_were():
    face = faces(np.arange(3), 1)
    plan = fit_expansion(1e-3, 0.05, (K, D))
    before = expand_gallery(face, plan)
    face.mean[:] *= 1.004
    np.testing.assert_allclose(expand_gallery(face, plan), before, atol=1e-4)
    assert np.allclose(unit(face.mean.astype(float)) ** 2 @ np.ones(D), 1)


def test_a_probe_out_of_the_range_is_taken_to_its_end_and_a_template_is_refused():
    face = faces(np.arange(2), 1)
    plan = fit_expansion(0.002, 0.04, (K, D))
    face.variance[0, 0] = 5.0
    vector = expand_probe(face, plan)
    face.variance[0, 0] = plan.high
    np.testing.assert_allclose(vector, expand_probe(face, plan), rtol=1e-6)
    face.variance[0, 0] = 5.0
    with pytest.raises(UserError, match=r"not within the expansion's .* fit a wider one"):
        expand_gallery(face, plan)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.5), (1e-9, 1.0), (float("nan"), 1.0)])
def test_what_is_no_range_is_refused(ends):
    with pytest.raises(UserError, match="a range that can be expanded"):
        fit_expansion(*ends, (K, D))


def test_an_error_that_cannot_be_met_is_refused():
    with pytest.raises(UserError, match="ask for a larger one"):
        fit_expansion(1e-6, 1.0, (K, D), distance_error=1e-14)
