"""The likelihood score of two faces under their variances (PFE, ICCV 2019, per sub-embedding).

    score(i, j) = -1/2 sum_k [ ||f_i^k - f_j^k||^2 / (v_i^k + v_j^k) + D log(v_i^k + v_j^k) ]

The terms are those of docs/method.md, equation PA. Where every dimension has a variance of its own (PFE's),
the same sum runs over dimensions with D = 1. Pairs are scored where the tensors are, with gradient; a matrix
by fused.py on a CPU in float32, by matrix_kernel.py on a GPU in float32, and in plain torch otherwise.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from urface.precision import full_precision, wide
from urface.scoring.faceless import nan_if_unsure
from urface.scoring.fused import fused_matrix
from urface.scoring.per_dimension import per_dimension_matrix

TILE = 1024
# Below this variance the squared distance 2 - 2 cos, rounded in float32, is off by more than 0.01 in the
# score of K = 16; float64 then costs twice the time and is right.
SMALLEST_FLOAT32_VARIANCE = 1e-4


def likelihood_score(a_BKD: Tensor, av_BK: Tensor, b_BKD: Tensor, bv_BK: Tensor) -> Tensor:
    """Scores of B pairs, [B]; means of unit length per sub-embedding, variances above 0.

    Variances are [B, K], or [B, K, D] with one a dimension, on both sides alike. A face that is zero or not
    finite in a sub-embedding, or whose variance is not finite and above 0, scores NaN (G53).
    """
    with full_precision(a_BKD):
        a, av, b, bv = wide(a_BKD, av_BK, b_BKD, bv_BK)
        (a, av), (b, bv) = nan_if_unsure(a, av), nan_if_unsure(b, bv)
        total = av + bv
        if total.ndim == 3:
            return -0.5 * ((a - b).square() / total + total.log()).sum((1, 2))
        # Differences first: 2 - 2 cos loses all digits for two nearly equal faces.
        distance = (a - b).square().sum(2)
        return -0.5 * (distance / total + a.shape[2] * total.log()).sum(1)


def likelihood_matrix(a_NKD: Tensor, av_NK: Tensor, b_MKD: Tensor, bv_MK: Tensor) -> Tensor:
    """Scores of all pairs, [N, M], by tiles: never an [N, M, K] array.

    Working memory is some tiles beside the result (``fused_matrix``; three of TILE x TILE in plain
    torch; none in ``kernel_matrix``). float32 in, float32 out, right for all variances; no gradient.
    Variances and NaN as in ``likelihood_score``.
    """
    with full_precision(a_NKD):
        a, av, b, bv = wide(a_NKD, av_NK, b_MKD, bv_MK)
        parts = (*nan_if_unsure(a, av), *nan_if_unsure(b, bv))
        if av_NK.ndim == 3:
            return per_dimension_matrix(*(part.flatten(1) for part in parts))
        if a_NKD.device.type == "cpu" and parts[0].dtype == torch.float32:
            return fused_matrix(*parts)
        if a_NKD.is_cuda and parts[0].dtype == torch.float32 and find_spec("triton") is not None:
            from urface.scoring.matrix_kernel import fits, kernel_matrix

            if fits(parts[1], parts[3], SMALLEST_FLOAT32_VARIANCE):
                return kernel_matrix(*parts)
        return _by_tiles(*parts)


def _by_tiles(a_NKD: Tensor, av_NK: Tensor, b_MKD: Tensor, bv_MK: Tensor) -> Tensor:
    """In plain torch; sums in float64 where a variance is below SMALLEST_FLOAT32_VARIANCE."""
    count, sub_embeddings, dim = a_NKD.shape
    out = a_NKD.new_empty(count, b_MKD.shape[0])
    if out.numel() == 0:
        return out
    smallest = min(float(av_NK.min()), float(bv_MK.min()))
    work = torch.float64 if smallest < SMALLEST_FLOAT32_VARIANCE else a_NKD.dtype
    for top in range(0, count, TILE):
        rows = slice(top, top + TILE)
        a, av = a_NKD[rows].to(work), av_NK[rows].to(work)
        for left in range(0, b_MKD.shape[0], TILE):
            columns = slice(left, left + TILE)
            b, bv = b_MKD[columns].to(work), bv_MK[columns].to(work)
            tile = a.new_zeros(a.shape[0], b.shape[0])
            for k in range(sub_embeddings):
                total = av[:, k, None] + bv[None, :, k]
                squares = a[:, k].square().sum(1)[:, None] + b[:, k].square().sum(1)[None]
                distance = torch.addmm(squares, a[:, k], b[:, k].T, alpha=-2.0).clamp_(min=0.0)
                tile += distance.div_(total).add_(total.log_(), alpha=dim)
            out[rows, columns] = tile.mul_(-0.5).to(out.dtype)
    return out
