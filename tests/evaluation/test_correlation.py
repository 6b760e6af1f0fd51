"""Claims about the correlation between sub-embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from urface.evaluation.correlation import sub_embedding_correlation

LABELS = np.repeat(np.arange(60), 5)


def faces(shared: float, k: int = 4, d: int = 8) -> np.ndarray:
    """Each face is disturbed by an amount of its own, ``shared`` by all its sub-embeddings or not."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(60, k, d))
    common = random.exponential(1, (len(LABELS), 1))
    amount = shared * common + (1 - shared) * random.exponential(1, (len(LABELS), k))
    mean = centres[LABELS] + amount[:, :, None] * random.normal(size=(len(LABELS), k, d))
    return mean / np.linalg.norm(mean, axis=2, keepdims=True)


def loop(mean: np.ndarray, labels: np.ndarray) -> float:
    k = mean.shape[1]
    distance = np.zeros(mean.shape[:2])
    for person in np.unique(labels):
        rows = np.flatnonzero(labels == person)
        for q in range(k):
            centre = mean[rows, q].sum(0)
            centre /= np.linalg.norm(centre)
            for row in rows:
                distance[row, q] = 1 - mean[row, q] @ centre
    values = []
    for a in range(k):
        for b in range(a + 1, k):
            x, y = distance[:, a] - distance[:, a].mean(), distance[:, b] - distance[:, b].mean()
            values.append(abs((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())))
    return float(np.mean(values))


def test_it_equals_a_loop_and_people_with_one_image_are_left_out() -> None:
    mean = faces(0.5)
    expected = loop(mean, LABELS)
    assert sub_embedding_correlation(mean, LABELS) == pytest.approx(expected, abs=1e-12)
    more = np.concatenate([mean, mean[:1]])
    assert sub_embedding_correlation(more, np.append(LABELS, 99)) == pytest.approx(expected)


def test_what_disturbs_all_sub_embeddings_alike_raises_it() -> None:
    values = [sub_embedding_correlation(faces(shared), LABELS) for shared in (0.0, 0.5, 1.0)]
    assert values[0] < 0.1 < values[1] < values[2]


def test_one_sub_embedding_has_no_correlation() -> None:
    assert np.isnan(sub_embedding_correlation(faces(0.5, k=1), LABELS))
