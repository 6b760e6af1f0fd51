"""Made-up embeddings: people as points on a sphere, their images around them."""

from __future__ import annotations

import numpy as np

DIMS = 48


def clusters(
    people: int, images: int, seed: int, spread: float = 0.9, dims: int = DIMS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [N, D] float32, labels [N] and the people's true directions [C, D].

    spread  length of an image's own part beside a person's, which is 1
    """
    rng = np.random.default_rng(seed)
    persons = rng.normal(size=(people, dims)) / np.sqrt(dims)
    labels = np.repeat(np.arange(people), images)
    own = rng.normal(size=(len(labels), dims)) / np.sqrt(dims)
    features = persons[labels] + spread * own
    return features.astype(np.float32), labels, persons


def mislabelled(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share name another person, and the places of these."""
    rng = np.random.default_rng(seed)
    bad = rng.choice(len(labels), round(share * len(labels)), replace=False)
    people = int(labels.max()) + 1
    wrong = labels.copy()
    wrong[bad] = (labels[bad] + rng.integers(1, people, len(bad))) % people
    return wrong, bad
