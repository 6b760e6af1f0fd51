"""The likelihood score: accuracy from tiny to large variances, tiles, memory, symmetry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from torch.utils._python_dispatch import TorchDispatchMode

from scoring.loops import faces, likelihood_loop, matrix_loop
from urface.scoring import fused, likelihood, score, score_matrix
from urface.types import FaceEmbedding

K, D = 16, 32


def genuine(variance: float, seed: int, count: int = 6) -> tuple[FaceEmbedding, FaceEmbedding]:
    """Faces and second looks at them, as far apart as a variance of ``variance`` says."""
    a = faces(count, K, D, seed=seed, variance=(variance / 2, variance * 2))
    rng = np.random.default_rng(seed + 1)
    mean = a.mean + rng.normal(size=a.mean.shape) * np.sqrt(variance)
    mean /= np.linalg.norm(mean, axis=2, keepdims=True)
    return a, FaceEmbedding(mean.astype(np.float32), a.confidence, a.variance[::-1].copy())


def tolerance(exact: np.ndarray) -> np.ndarray:
    """0.01, or what float32 can hold: at variance 1e-6 two strangers score -1e7, in steps of 1."""
    return np.maximum(1e-2, 4 * np.spacing(np.abs(exact).astype(np.float32)).astype(float))


@pytest.mark.parametrize("variance", [1e-8, 1e-6, 1e-5, 1e-4, 2e-4, 1e-3, 1e-2, 0.1, 1.0, 1e2])
def test_float32_scores_are_within_a_hundredth_of_float64(variance: float) -> None:
    a, b = genuine(variance, seed=1)
    exact = matrix_loop(a, b)
    matrix = score_matrix(a, b)
    assert matrix.dtype == np.float32
    assert (np.abs(matrix - exact) <= tolerance(exact)).all()
    # The genuine pairs decide, and their scores are small enough for the bound itself.
    assert np.abs(matrix.diagonal() - exact.diagonal()).max() <= 1e-2
    assert np.abs(score(a, b) - exact.diagonal()).max() <= 1e-2


@pytest.mark.parametrize("variance", [1e-8, 1e-6, 1e-2])
def test_a_face_against_itself_keeps_only_the_logarithms(variance: float) -> None:
    a, _ = genuine(variance, seed=2)
    exact = [-0.5 * D * np.log(2.0 * v.astype(np.float64)).sum() for v in a.variance]
    np.testing.assert_allclose(score(a, a), exact, atol=1e-2, rtol=0)
    np.testing.assert_allclose(score_matrix(a, a).diagonal(), exact, atol=1e-2, rtol=0)


def test_expanding_the_square_in_float32_would_miss_the_bound() -> None:
    """The control: 2 - 2 cos in float32 at variance 1e-8."""
    a, _ = genuine(1e-8, seed=2)
    cosine = np.einsum("bkd,bkd->bk", a.mean, a.mean)
    naive = -0.5 * ((2 - 2 * cosine) / (2 * a.variance) + D * np.log(2 * a.variance)).sum(1)
    exact = [likelihood_loop(a, i, a, i) for i in range(len(a))]
    assert np.abs(naive - exact).max() > 0.1


@settings(max_examples=40, deadline=None)
@given(low=st.floats(-6, 0), high=st.floats(-6, 0), seed=st.integers(0, 10**6))
def test_mixed_variances_keep_the_bound_and_the_symmetry(
    low: float, high: float, seed: int
) -> None:
    low, high = min(low, high), max(low, high)
    a = faces(3, 4, 8, seed=seed, variance=(10.0**low, 10.0**high))
    b = faces(4, 4, 8, seed=seed + 1, variance=(10.0**low, 10.0**high))
    exact, got = matrix_loop(a, b), score_matrix(a, b)
    assert (np.abs(got - exact) <= tolerance(exact)).all()
    np.testing.assert_allclose(score_matrix(b, a).T, got, rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(score(a, b[:3]), score(b[:3], a))


def test_float64_is_exact_enough_down_to_1e_minus_8() -> None:
    a = faces(4, K, D, seed=3, variance=(1e-8, 1.0), dtype="float64")
    b = faces(4, K, D, seed=4, variance=(1e-8, 1.0), dtype="float64")
    np.testing.assert_allclose(score_matrix(a, b), matrix_loop(a, b), rtol=1e-12, atol=1e-6)


def test_ranking_in_float32_is_that_of_float64() -> None:
    probe, gallery = faces(4, K, D, seed=5), faces(400, K, D, seed=6, variance=(1e-6, 1.0))
    exact, got = matrix_loop(probe, gallery), score_matrix(probe, gallery)
    for row, expected in zip(got, exact, strict=True):
        assert kendalltau(row, expected).statistic >= 0.9999


@pytest.mark.parametrize("tile", [1, 2, 3, 5, 6, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_of_any_size_give_the_same_matrix(
    tile: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = faces(5, 2, 3, seed=7, dtype=dtype), faces(6, 2, 3, seed=8, dtype=dtype)
    monkeypatch.setattr(likelihood, "TILE", tile)
    monkeypatch.setattr(fused, "TALL", tile)
    monkeypatch.setattr(fused, "WIDE", tile + 1)
    np.testing.assert_allclose(score_matrix(a, b), matrix_loop(a, b), rtol=3e-6, atol=1e-5)


class Largest(TorchDispatchMode):
    """Remembers how many numbers lie in each piece of memory that torch's operations return."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            # The storage, not the tensor: a slice is no memory of its own.
            self.sizes.append(out.untyped_storage().nbytes() // out.element_size())
        return out


@pytest.mark.parametrize("variance", [(1e-6, 1.0), (0.1, 1.0)])  # with and without float64 work
def test_working_memory_of_plain_torch_is_a_tile_and_never_n_by_m_by_k(
    variance: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    n, m, k, d, tile = 40, 50, 6, 4, 16
    monkeypatch.setattr(likelihood, "TILE", tile)
    a, b = (faces(c, k, d, seed=c, variance=variance).torch() for c in (n, m))
    with Largest() as seen:
        likelihood._by_tiles(a.mean, a.variance, b.mean, b.variance)
    assert max(seen.sizes) == n * m  # the result, and nothing larger
    inputs = {n * k * d, m * k * d, n * k, m * k}
    others = [size for size in seen.sizes if size != n * m and size not in inputs]
    assert max(others) <= tile * k * d  # one tile's rows in float64; its scores are fewer here
    assert tile * tile <= tile * k * d < n * m < n * m * k


def test_surer_agreement_scores_higher_and_surer_disagreement_lower() -> None:
    mean = np.array([[[1.0, 0.0]]])

    def at(variance: float, other: np.ndarray) -> float:
        v = np.full((1, 1), variance)
        return float(score(FaceEmbedding(mean, 1 / v, v), FaceEmbedding(other, 1 / v, v))[0])

    assert at(0.01, mean) > at(0.1, mean)
    assert at(0.01, -mean) < at(0.1, -mean)


def test_gradients_of_the_pair_score_pass_gradcheck() -> None:
    a, b = faces(2, dtype="float64").torch(), faces(2, seed=1, dtype="float64").torch()
    leaves = [
        part.clone().requires_grad_(True) for part in (a.mean, a.variance, b.mean, b.variance)
    ]
    assert torch.autograd.gradcheck(likelihood.likelihood_score, tuple(leaves))
