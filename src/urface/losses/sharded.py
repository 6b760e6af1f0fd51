"""Cross-entropy over classes that are spread over ranks; with one rank it is the ordinary one.

Each rank holds the logits of its own classes, [B, S], for the whole batch. Two reductions of [B] numbers
(maximum, then sum of exponentials with the target logit) are all that travels; no rank sees [B, C].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from urface import distributed
from urface.derivatives import first_derivative


def sharded_cross_entropy(
    logits_BS: Tensor,
    labels_B: Tensor,
    *,
    first_class: int = 0,
    margin: float = 0.0,
    sharded: bool = True,
) -> Tensor:
    """Mean cross-entropy with ``margin`` taken off the target logit; the same scalar on every rank.

    logits_BS    this rank's classes first_class .. first_class + S - 1, for the batch of all ranks
    labels_B     class of each image, counted over all ranks
    sharded      False where S are all classes though there are other ranks: nothing travels

    With one process (or outside torchrun) S must be all classes. Sums are taken in float32 or, for
    float64 logits, in float64. The gradient is eq. 25: (p_ij - 1[j = y_i]) / B.
    """
    if labels_B.dtype != torch.int64 or labels_B.shape != logits_BS.shape[:1]:
        raise ValueError(f"labels must be int64 [{logits_BS.shape[0]}]")
    return _ShardedCrossEntropy.apply(logits_BS, labels_B, first_class, margin, sharded)


class _ShardedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits_BS: Tensor,
        labels_B: Tensor,
        first_class: int,
        margin: float,
        sharded: bool,
    ) -> Tensor:
        dtype = torch.promote_types(logits_BS.dtype, torch.float32)
        logits = logits_BS.to(dtype, copy=True)
        batch, shard = logits.shape
        local = labels_B - first_class
        rows = torch.nonzero((local >= 0) & (local < shard)).squeeze(1)
        columns = local[rows]
        logits[rows, columns] -= margin

        found = torch.zeros(2, batch, dtype=dtype, device=logits.device)
        found[0, rows] = logits[rows, columns]
        found[1, rows] = 1.0
        if shard:
            peak = logits.max(1).values
        else:  # more ranks than classes leaves some with none
            peak = logits.new_full((batch,), -torch.inf)
        if sharded:
            distributed.all_reduce_max(peak)
        weights = logits.sub_(peak.unsqueeze(1)).exp_()
        # The target's own exponential stays out of the sum: 1 + 1e-9 is 1, and a small loss would be lost.
        weights[rows, columns] = 0.0
        sums = torch.cat([found, weights.sum(1).unsqueeze(0)])
        if sharded:
            distributed.all_reduce_sum(sums)
        target, owners, rest = sums
        if bool((owners != 1).any()):
            wrong = labels_B[owners != 1][0].item()
            raise ValueError(f"label {wrong} is not one of the classes")

        # p_ij - 1[j = y_i], kept in place of the exponentials.
        own = (target - peak).exp()
        total = rest + own
        weights /= total.unsqueeze(1)
        weights[rows, columns] = -(rest / total)[rows]
        ctx.save_for_backward(weights)
        ctx.dtype = logits_BS.dtype
        return (torch.log1p(rest + (own - 1.0)) + (peak - target)).mean()

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        (difference,) = ctx.saved_tensors
        grad = difference * (grads[0] / difference.shape[0])
        return grad.to(ctx.dtype), None, None, None, None
