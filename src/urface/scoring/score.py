"""The doors to scoring: FaceEmbeddings in (NumPy or torch), scores of the same kind out."""

from __future__ import annotations

from typing import Literal

import torch

from urface.scoring.cosine import cosine_matrix, cosine_score
from urface.scoring.likelihood import likelihood_matrix, likelihood_score
from urface.types import Array, FaceEmbedding, UserError, is_torch

Method = Literal["likelihood", "cosine"]


def score(a: FaceEmbedding, b: FaceEmbedding, method: Method = "likelihood") -> Array:
    """Score face i of ``a`` against face i of ``b``, [B]; larger is more alike.

    likelihood  log-likelihood (up to a constant) that both show one face, given their variances (eq. PA)
    cosine      mean of the K cosines, -1..1

    A single face on one side is compared with every face on the other. Raises UserError where the
    numbers of faces or the shapes [K, D] differ, or for another method.
    """
    _check(a, b, method)
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise UserError(f"score compares face by face, but there are {len(a)} and {len(b)} faces")
    (am, av), (bm, bv), back = _tensors(a, b)
    with torch.no_grad():
        result = cosine_score(am, bm) if method == "cosine" else likelihood_score(am, av, bm, bv)
    return result.numpy() if back else result


def score_matrix(a: FaceEmbedding, b: FaceEmbedding, method: Method = "likelihood") -> Array:
    """Score every face of ``a`` against every face of ``b``, [N, M], without an [N, M, K] array."""
    _check(a, b, method)
    (am, av), (bm, bv), back = _tensors(a, b)
    with torch.no_grad():
        result = cosine_matrix(am, bm) if method == "cosine" else likelihood_matrix(am, av, bm, bv)
    return result.numpy() if back else result


def _check(a: FaceEmbedding, b: FaceEmbedding, method: str) -> None:
    if method not in ("likelihood", "cosine"):
        raise UserError(f"method must be likelihood or cosine, got {method!r}")
    if a.mean.shape[1:] != b.mean.shape[1:]:
        raise UserError(
            f"embeddings of different shape: {list(a.mean.shape[1:])} and {list(b.mean.shape[1:])} "
            "[K, D]; both must come from the same model"
        )
    if len(a.variance.shape) != len(b.variance.shape):
        raise UserError(
            "one side has a variance a dimension, the other one a sub-embedding: both must come from "
            "the same model"
        )
    if is_torch(a.mean) != is_torch(b.mean):
        raise UserError(
            "one embedding is NumPy and one torch: convert one with .numpy() or .torch()"
        )


def _tensors(
    a: FaceEmbedding, b: FaceEmbedding
) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor], bool]:
    """Means and variances as torch tensors of one dtype, and whether to go back to NumPy."""
    back = not is_torch(a.mean)
    if back:
        a, b = a.torch(), b.torch()
    parts = [torch.as_tensor(array) for array in (a.mean, a.variance, b.mean, b.variance)]
    dtype = torch.float64 if any(part.dtype == torch.float64 for part in parts) else torch.float32
    am, av, bm, bv = (part.to(dtype) for part in parts)
    return (am, av), (bm, bv), back
