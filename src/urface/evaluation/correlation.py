"""How much the sub-embeddings of a model say the same thing."""

from __future__ import annotations

import numpy as np


def sub_embedding_correlation(mean_NKD: np.ndarray, labels: np.ndarray) -> float:
    """The mean absolute correlation between sub-embeddings, over all pairs k < l.

    mean_NKD  of unit length per sub-embedding        labels  [N] the person of each image

    Sub-embeddings have no axes in common, so what is correlated is how far each one lies from its
    person's centre: d_k = 1 - <f^k, c^k>, with c^k the normalised mean of the person's f^k. Two that
    are disturbed by the same things rise and fall together. People with one image say nothing and are
    left out. NaN for K = 1 or fewer than three images.
    """
    sub_embeddings = mean_NKD.shape[1]
    several = np.bincount(labels)[labels] > 1
    if sub_embeddings < 2 or several.sum() < 3:
        return float("nan")
    faces, people = mean_NKD[several].astype(np.float64), labels[several]
    _, person = np.unique(people, return_inverse=True)
    centres = np.zeros((person.max() + 1, *faces.shape[1:]))
    np.add.at(centres, person, faces)
    centres /= np.maximum(np.linalg.norm(centres, axis=2, keepdims=True), 1e-12)
    distance = 1.0 - np.einsum("nkd,nkd->nk", faces, centres[person])
    spread = distance.std(0)
    if (spread < 1e-12).any():
        return float("nan")
    correlation = np.corrcoef(distance, rowvar=False)
    pairs = np.triu_indices(sub_embeddings, 1)
    return float(np.abs(correlation[pairs]).mean())
