"""The mean of the K cosines: the score without uncertainty."""

from __future__ import annotations

from torch import Tensor

from urface.precision import full_precision, wide
from urface.scoring.faceless import nan_if_faceless


def cosine_score(a_BKD: Tensor, b_BKD: Tensor) -> Tensor:
    """Scores of B pairs, [B], in -1..1; means of unit length per sub-embedding, else NaN (faceless.py)."""
    a_BKD, b_BKD = nan_if_faceless(a_BKD), nan_if_faceless(b_BKD)
    return (a_BKD * b_BKD).sum(2).mean(1)


def cosine_matrix(a_NKD: Tensor, b_MKD: Tensor) -> Tensor:
    """Scores of all pairs, [N, M]: one matrix product, since the mean over K is linear."""
    with full_precision(a_NKD):
        a, b = (nan_if_faceless(side) for side in wide(a_NKD, b_MKD))
        return a.flatten(1) @ b.flatten(1).T / a.shape[1]
