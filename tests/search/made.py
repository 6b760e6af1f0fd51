"""Made templates: people as places on spheres, seen under noise of each template's own variance."""

from __future__ import annotations

import numpy as np

from urface.types import FaceEmbedding

K, D, HIGH = 16, 32, 0.03


def faces(people: np.ndarray, seed: int, factor: float = 10.0, shape=(K, D)) -> FaceEmbedding:
    """One template of each person, whose number decides who it is; variances of HIGH / factor to HIGH."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(99).standard_normal((64, shape[0] * shape[1]))
    places = np.array([np.random.default_rng(p).standard_normal(64) for p in people.tolist()])
    mean = unit((places.reshape(-1, 64) @ directions).reshape(-1, *shape))
    variance = HIGH * factor ** (random.random((len(people), shape[0])) - 1.0)
    mean = unit(mean + np.sqrt(variance)[:, :, None] * random.standard_normal(mean.shape))
    return FaceEmbedding(
        mean.astype(np.float32),
        np.ones(variance.shape, np.float32),
        variance.astype(np.float32),
    )


def unit(mean: np.ndarray) -> np.ndarray:
    return mean / np.linalg.norm(mean, axis=2, keepdims=True)


def loop(a: FaceEmbedding, b: FaceEmbedding) -> np.ndarray:
    """All scores, pair by pair and term by term in float64, means taken as of unit length."""
    am, bm = unit(a.mean.astype(float)), unit(b.mean.astype(float))
    out = np.zeros((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            for k in range(am.shape[1]):
                total = float(a.variance[i, k]) + float(b.variance[j, k])
                distance = ((am[i, k] - bm[j, k]) ** 2).sum()
                out[i, j] -= 0.5 * (distance / total + am.shape[2] * np.log(total))
    return out


def shared(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean share of each row of ``truth`` that is in ``found``."""
    return float(np.mean([np.isin(t, f).mean() for f, t in zip(found, truth, strict=True)]))
