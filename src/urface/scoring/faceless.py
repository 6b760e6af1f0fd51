"""A face without an embedding has no score (reliability goal G53): not 0, not a guess, but NaN.

``FaceEmbedding`` refuses such faces; the functions that take bare tensors pass them through here first.
"""

from __future__ import annotations

import torch
from torch import Tensor


def nan_if_faceless(mean_BKD: Tensor) -> Tensor:
    """``mean_BKD``, all NaN for a face one of whose sub-embeddings is zero or not finite."""
    pointing = _pointing(mean_BKD)
    if not pointing.is_cuda and bool(pointing.all()):
        return mean_BKD
    return mean_BKD.masked_fill(~pointing[:, None, None], float("nan"))


def nan_if_unsure(mean_BKD: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance [B, K] or [B, K, D]; a face whose variance is not finite and above 0, or that has no
    direction, is all NaN with a variance of 1."""
    known = ((variance.detach() > 0) & (variance.detach() < float("inf"))).flatten(1).all(1)
    bad = ~(known & _pointing(mean_BKD))
    if not bad.is_cuda and not bool(bad.any()):  # the usual case, without a copy
        return mean_BKD, variance
    mean = mean_BKD.masked_fill(bad[:, None, None], float("nan"))
    return mean, variance.masked_fill(bad.reshape(-1, *[1] * (variance.ndim - 1)), 1.0)


def _pointing(mean_BKD: Tensor) -> Tensor:
    low, high = mean_BKD.detach().aminmax(dim=2)
    largest = torch.maximum(-low, high)
    return ((largest > 0) & (largest < float("inf"))).all(1)
