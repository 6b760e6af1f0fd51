"""The fused matrix on a CPU: against float64 loops, where float32 loses its digits, and how much it holds."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from scoring.loops import faces, matrix_loop
from urface.scoring import fused, score, score_matrix
from urface.scoring.likelihood import likelihood_matrix
from urface.types import FaceEmbedding


def scored(a: FaceEmbedding, b: FaceEmbedding) -> np.ndarray:
    """By the function of tensors, which a NaN does not stop."""
    sides = (a.mean, a.variance, b.mean, b.variance)
    return likelihood_matrix(*(torch.as_tensor(side) for side in sides)).numpy()


def near(a: FaceEmbedding, share: float, seed: int) -> FaceEmbedding:
    """The same faces moved by ``share`` of their standard deviations."""
    random = np.random.default_rng(seed)
    sigma = np.sqrt(a.variance)[:, :, None]
    mean = a.mean + share * sigma * random.normal(size=a.mean.shape)
    mean /= np.linalg.norm(mean, axis=2, keepdims=True)
    return FaceEmbedding(mean.astype(np.float32), a.confidence, a.variance)


def allowed(exact: np.ndarray) -> np.ndarray:
    """0.01, or four steps of float32, which at variance 1e-6 holds the score of strangers to 1."""
    return np.maximum(1e-2, 4 * np.spacing(np.abs(exact).astype(np.float32)).astype(float))


def naive(a: FaceEmbedding, b: FaceEmbedding) -> np.ndarray:
    """All of it in float32, 2 - 2 cos for the distance, a logarithm for each sum."""
    cosine = np.einsum("nkd,mkd->nmk", a.mean, b.mean)
    total = a.variance[:, None] + b.variance[None]
    squares = (a.mean**2).sum(2)[:, None] + (b.mean**2).sum(2)[None]
    terms = (squares - 2 * cosine) / total + np.float32(a.mean.shape[2]) * np.log(total)
    return -0.5 * terms.sum(2)


# (K, D) of the paper, of one part, of one dimension a part, and odd ones.
SHAPES = st.sampled_from([(16, 32), (1, 512), (8, 1), (3, 5), (64, 8)])


@settings(max_examples=30, deadline=None)
@given(
    shape=SHAPES,
    low=st.floats(-6, 0),
    high=st.floats(-6, 0),
    share=st.sampled_from([0.0, 1e-2, 1.0, 30.0]),
    seed=st.integers(0, 10**6),
)
def test_g52_scores_are_within_a_hundredth_of_float64_and_symmetric(
    shape: tuple[int, int], low: float, high: float, share: float, seed: int
) -> None:
    span = (10.0 ** min(low, high), 10.0 ** max(low, high))
    a = faces(5, *shape, seed=seed, variance=span)
    b = near(a, share, seed + 1)
    exact, got = matrix_loop(a, b), score_matrix(a, b)
    assert (np.abs(got - exact) <= allowed(exact)).all()
    np.testing.assert_allclose(score_matrix(b, a).T, got, rtol=1e-6, atol=1e-6)


def test_the_control_of_g52_naive_float32_fails_at_1e_minus_8() -> None:
    a = faces(6, 16, 32, seed=1, variance=(1e-8, 2e-8))
    b = near(a, 1.0, 2)
    exact = matrix_loop(a, b).diagonal()
    assert np.abs(naive(a, b).diagonal() - exact).max() > 0.1
    assert np.abs(score_matrix(a, b).diagonal() - exact).max() <= 1e-2


@settings(max_examples=10, deadline=None)
@given(low=st.floats(-6, -1), seed=st.integers(0, 10**6))
def test_g52_the_ranking_is_that_of_float64(low: float, seed: int) -> None:
    gallery = faces(120, 16, 32, seed=seed, variance=(10.0**low, 1.0))
    probe = near(gallery, 1.0, seed + 1)[:3]
    exact, got = matrix_loop(probe, gallery), score_matrix(probe, gallery)
    for row, expected in zip(got, exact, strict=True):
        assert kendalltau(row, expected).statistic >= 0.9999


def test_one_crowd_of_nearly_equal_faces_is_right_in_every_pair() -> None:
    """The worst case: every pair is one that the products cannot tell apart."""
    one = faces(1, 16, 32, seed=3, variance=(1e-6, 1e-5))
    crowd = FaceEmbedding.concatenate([near(one, 1.0, seed) for seed in range(8)])
    exact = matrix_loop(crowd, crowd)
    assert np.abs(score_matrix(crowd, crowd) - exact).max() <= 1e-2
    np.testing.assert_allclose(score_matrix(crowd, crowd)[0], score(crowd[0], crowd), rtol=1e-6)


@pytest.mark.parametrize("span", [(1e-37, 1e-36), (1e30, 1e37), (1e-30, 1e30), (1e-44, 1e-40)])
@pytest.mark.parametrize("shape", [(16, 32), (64, 8), (200, 2)])
def test_products_of_variances_neither_under_nor_overflow(
    span: tuple[float, float], shape: tuple[int, int]
) -> None:
    a, b = faces(3, *shape, seed=4, variance=span), faces(4, *shape, seed=5, variance=span)
    with np.errstate(over="ignore"):
        exact = matrix_loop(a, b)
        held = np.abs(exact) < np.finfo(np.float32).max
        got = score_matrix(a, b)
    np.testing.assert_allclose(got[held], exact[held], rtol=3e-6)
    assert (got[~held] == -np.inf).all()


def test_threads_and_seams_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = faces(137, 4, 8, seed=6), faces(141, 4, 8, seed=7)  # more than a panel is wide
    whole = score_matrix(a, b)
    assert np.abs(whole - matrix_loop(a, b)).max() <= 1e-4
    monkeypatch.setattr(fused, "TALL", 61)
    monkeypatch.setattr(fused, "WIDE", 13)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            np.testing.assert_allclose(score_matrix(a, b), whole, rtol=1e-6)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["mean", "variance"])
def test_g53_a_face_without_direction_or_variance_scores_nan_and_spoils_no_other(
    value: float, where: str
) -> None:
    a, b = faces(4, 3, 8, seed=8), faces(5, 3, 8, seed=9)
    expected = scored(a, b)
    getattr(a, where)[2, 1] = value
    getattr(b, where)[3, 0] = value
    got = scored(a, b)
    assert np.isnan(got[2]).all()
    assert np.isnan(got[:, 3]).all()
    good = np.ix_([0, 1, 3], [0, 1, 2, 4])
    np.testing.assert_allclose(got[good], expected[good], rtol=1e-6)
    # The control: plain arithmetic gives a face of zeros a score like any other.
    if where == "mean" and value == 0.0:
        assert np.isfinite(naive(a, b)).all()


def test_working_memory_is_a_tile_beside_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    n, m, k, d = 600, 700, 8, 4
    monkeypatch.setattr(fused, "TALL", 32)
    monkeypatch.setattr(fused, "WIDE", 64)
    a, b = faces(n, k, d, seed=10), faces(m, k, d, seed=11)
    scored(a[:2], b[:2])  # compiled
    tracemalloc.start()
    try:
        scored(a, b)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    result, tile, faces_own = 4 * n * m, 4 * k * 32 * 64, 40 * k * (n + m)
    assert peak <= result + tile + faces_own + 200_000
    assert 4 * n * m * k > 5 * peak  # what an [N, M, K] array would take
