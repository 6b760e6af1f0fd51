"""The likelihood score and the cosine as slow float64 loops, and embeddings to score."""

from __future__ import annotations

import math

import numpy as np

from urface.types import FaceEmbedding


def faces(
    count: int,
    k: int = 2,
    d: int = 3,
    seed: int = 0,
    variance: tuple[float, float] = (0.05, 2.0),
    dtype: str = "float32",
) -> FaceEmbedding:
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(count, k, d))
    mean /= np.linalg.norm(mean, axis=2, keepdims=True)
    low, high = np.log(variance)
    return FaceEmbedding(
        mean.astype(dtype),
        rng.uniform(1, 90, (count, k)).astype(dtype),
        np.exp(rng.uniform(low, high, (count, k))).astype(dtype),
    )


def likelihood_loop(a: FaceEmbedding, i: int, b: FaceEmbedding, j: int) -> float:
    """-1/2 sum_k [ ||f_i - f_j||^2 / (v_i + v_j) + D log(v_i + v_j) ] of one pair."""
    terms = []
    for k in range(a.mean.shape[1]):
        total = float(a.variance[i, k]) + float(b.variance[j, k])
        distance = math.fsum(
            (float(x) - float(y)) ** 2 for x, y in zip(a.mean[i, k], b.mean[j, k], strict=True)
        )
        terms.append(distance / total + a.mean.shape[2] * math.log(total))
    return -0.5 * math.fsum(terms)


def cosine_loop(a: FaceEmbedding, i: int, b: FaceEmbedding, j: int) -> float:
    """(1/K) sum_k <f_i^k, f_j^k> of one pair."""
    k = a.mean.shape[1]
    return (
        math.fsum(float(x) * float(y) for x, y in zip(a.mean[i].flat, b.mean[j].flat, strict=True))
        / k
    )


LOOPS = {"likelihood": likelihood_loop, "cosine": cosine_loop}


def matrix_loop(a: FaceEmbedding, b: FaceEmbedding, method: str = "likelihood") -> np.ndarray:
    loop = LOOPS[method]
    return np.array([[loop(a, i, b, j) for j in range(len(b))] for i in range(len(a))])
