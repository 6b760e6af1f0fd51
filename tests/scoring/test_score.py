"""Scores of pairs and matrices against loops; kinds, shapes and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scoring.loops import LOOPS, faces, matrix_loop
from urface.scoring import score, score_matrix
from urface.types import FaceEmbedding, UserError

METHODS = ["likelihood", "cosine"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 8), (4, 3), (16, 32)])
def test_pairs_equal_the_loop(method, k: int, d: int) -> None:
    a, b = faces(5, k, d, seed=1, dtype="float64"), faces(5, k, d, seed=2, dtype="float64")
    expected = [LOOPS[method](a, i, b, i) for i in range(5)]
    np.testing.assert_allclose(score(a, b, method), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 7), (7, 4), (1, 5)])
def test_matrix_equals_the_loop_and_the_pairs(method, n: int, m: int) -> None:
    a, b = faces(n, 3, 4, seed=3, dtype="float64"), faces(m, 3, 4, seed=4, dtype="float64")
    got = score_matrix(a, b, method)
    np.testing.assert_allclose(got, matrix_loop(a, b, method), rtol=1e-12, atol=1e-12)
    for i in range(n):
        np.testing.assert_allclose(got[i], score(a[i], b, method), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_one_face_is_scored_against_every_face_on_either_side(method) -> None:
    a, b = faces(1, seed=5), faces(4, seed=6)
    expected = [LOOPS[method](a, 0, b, j) for j in range(4)]
    np.testing.assert_allclose(score(a, b, method), expected, rtol=1e-5)
    np.testing.assert_allclose(score(b, a, method), expected, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scorer", [score, score_matrix])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_gives_numpy_and_torch_gives_torch(scorer, method, dtype: str) -> None:
    a, b = faces(3, seed=7, dtype=dtype), faces(3, seed=8, dtype=dtype)
    array, tensor = scorer(a, b, method), scorer(a.torch(), b.torch(), method)
    assert isinstance(array, np.ndarray)
    assert isinstance(tensor, torch.Tensor)
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array, tensor.numpy())


@pytest.mark.parametrize("method", METHODS)
def test_no_faces_give_no_scores(method) -> None:
    none, some = faces(4)[:0], faces(4)
    assert score(none, none, method).shape == (0,)
    assert score(none, some[0], method).shape == (0,)
    assert score_matrix(none, some, method).shape == (0, 4)
    assert score_matrix(some, none, method).shape == (4, 0)
    assert score_matrix(none, none, method).shape == (0, 0)


def test_arrays_that_torch_cannot_share_are_scored_all_the_same() -> None:
    a = faces(4, seed=9)
    expected = score(a, a)
    np.testing.assert_array_equal(score(a[::-1], a[::-1]), expected[::-1])  # negative strides
    parts = [part.copy() for part in (a.mean, a.confidence, a.variance)]
    for part in parts:
        part.flags.writeable = False  # as np.frombuffer and a memory map are
    np.testing.assert_array_equal(score(FaceEmbedding(*parts), a), expected)
    swapped = FaceEmbedding(a.mean.astype(">f4"), a.confidence, a.variance.astype(">f4"))
    np.testing.assert_array_equal(score(swapped, a), expected)


def test_half_precision_is_scored_in_float32() -> None:
    a = faces(3, 4, 8, seed=10)
    half = FaceEmbedding(*(part.astype(np.float16) for part in (a.mean, a.confidence, a.variance)))
    got = score(half, half)
    assert got.dtype == np.float32
    np.testing.assert_allclose(
        got, [LOOPS["likelihood"](half, i, half, i) for i in range(3)], rtol=1e-5
    )


def test_mismatches_are_refused() -> None:
    a = faces(3)
    with pytest.raises(UserError, match="3 and 2 faces"):
        score(a, faces(2))
    with pytest.raises(UserError, match="same model"):
        score(a, faces(3, k=4))
    with pytest.raises(UserError, match="same model"):
        score_matrix(a, faces(3, d=4))
    with pytest.raises(UserError, match="NumPy and one torch"):
        score_matrix(a, a.torch())
    for scorer in (score, score_matrix):
        with pytest.raises(UserError, match="'euclidean'"):
            scorer(a, a, "euclidean")


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["mean", "confidence", "variance"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_zero_nan_or_infinite_faces_never_reach_a_score(bad: float, part: str, kind: str) -> None:
    """G53: there is no embedding to score; a mean of one bad value or of only zeros is refused."""
    good = faces(3)
    parts = {name: getattr(good, name).copy() for name in ("mean", "confidence", "variance")}
    parts[part][1, 1] = bad
    if kind == "torch":
        parts = {name: torch.as_tensor(value) for name, value in parts.items()}
    with pytest.raises(UserError, match=r"of face 1"):
        FaceEmbedding(**parts)
