"""Claims about scores: pairs and tiles are what a plain loop in float64 gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from urface.benchmarks import score as score_module
from urface.benchmarks.pool import Pooled
from urface.benchmarks.score import pair_scores, search_tiles
from urface.types import UserError

COUNT, PARTS, DIM = 40, 4, 6


def templates(seed: int = 0, per_dimension: bool = False, smallest: float = 1e-6) -> Pooled:
    """Random templates, numbers 3 and 7 of which are failures."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(COUNT, PARTS, DIM))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    shape = (COUNT, PARTS, DIM) if per_dimension else (COUNT, PARTS)
    variance = np.exp(random.uniform(math.log(smallest), 0, shape)).astype(np.float32)
    there = np.ones(COUNT, bool)
    there[[3, 7]] = False
    return Pooled(vectors.astype(np.float32), variance, there, np.empty(0, np.int64))


def by_loop(pooled: Pooled, i: int, j: int, score: str) -> float:
    """Equation PA, or the mean of the cosines."""
    if not (pooled.there[i] and pooled.there[j]):
        return math.nan
    a, b = pooled.vectors[i].astype(np.float64), pooled.vectors[j].astype(np.float64)
    if score == "cosine":
        return float(np.mean([a[k] @ b[k] for k in range(PARTS)]))
    total = pooled.variance[i].astype(np.float64) + pooled.variance[j]
    value = 0.0
    for k in range(PARTS):
        if total.ndim == 2:
            value += ((a[k] - b[k]) ** 2 / total[k] + np.log(total[k])).sum()
        else:
            value += ((a[k] - b[k]) ** 2).sum() / total[k] + DIM * math.log(total[k])
    return -0.5 * value


@pytest.mark.parametrize(
    ("score", "per_dimension"), [("cosine", False), ("likelihood", False), ("likelihood", True)]
)
def test_pair_scores_are_those_of_a_plain_loop(score, per_dimension):
    pooled = templates(per_dimension=per_dimension)
    left, right = np.triu_indices(COUNT)
    got = pair_scores(pooled, left, right, score)
    expected = [by_loop(pooled, i, j, score) for i, j in zip(left, right, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-7)
    assert np.isnan(got).sum() == 2 * COUNT - 1


def test_the_logarithm_of_many_small_variances_does_not_underflow():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(2, 64, 8))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    variance = np.full((2, 64), 1e-30, np.float32)
    there = np.ones(2, bool)
    pooled = Pooled(vectors.astype(np.float32), variance, there, np.empty(0, np.int64))
    got = pair_scores(pooled, np.array([0]), np.array([0]), "likelihood")
    assert got[0] == pytest.approx(-0.5 * 64 * 8 * math.log(2e-30), rel=1e-6)


@pytest.mark.parametrize("score", ["cosine", "likelihood"])
def test_tiles_cover_a_search_once_whatever_their_size(score, monkeypatch):
    pooled = templates(smallest=1e-3)
    monkeypatch.setattr(score_module, "PROBES_AT_ONCE", 5)
    monkeypatch.setattr(score_module, "ENTRIES_AT_ONCE", 7)
    probes, gallery = np.array([9, 2, 11, 30, 31, 32, 33]), np.append(np.arange(10, 30), [1, 4])
    whole = np.full((len(probes), len(gallery)), np.nan)
    for probe, entry, scores, _ in search_tiles(pooled, probes, gallery, score):
        place = whole[probe : probe + scores.shape[0], entry : entry + scores.shape[1]]
        assert np.isnan(place).all()
        place[:] = scores
    expected = [[by_loop(pooled, i, j, score) for j in gallery] for i in probes]
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-6)


def test_a_likelihood_without_variances_is_refused():
    pooled = templates()
    bare = Pooled(pooled.vectors, None, pooled.there, pooled.lost)
    with pytest.raises(UserError, match="no variance"):
        pair_scores(bare, np.array([0]), np.array([1]), "likelihood")
    with pytest.raises(UserError, match="no variance"):
        list(search_tiles(bare, np.array([0]), np.array([1]), "likelihood"))
