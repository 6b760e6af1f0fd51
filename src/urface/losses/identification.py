"""The confidence-aware identification loss, for any number of sub-embeddings (supplementary A.1).

CosFace is its case K = 1 with a constant confidence s and margin s m: the baseline's own code path.
"""

from __future__ import annotations

from torch import Tensor

from urface.losses.sharded import sharded_cross_entropy
from urface.precision import full_precision, wide


def identification_logits(
    mean_BKD: Tensor, confidence_BK: Tensor, prototypes_CKD: Tensor
) -> Tensor:
    """a_ij = (1/K) sum_k s_i^k <f_i^k, w_j^k>, [B, C] (eq. 24, its mean; the term without j cancels).

    ``mean_BKD`` and ``prototypes_CKD`` have unit length per sub-embedding; ``confidence_BK`` is s > 0.
    One matrix product over K * D: scaling f by s / K first makes the logits linear in the prototypes.
    In float32 at least, whatever autocast the caller is in: bfloat16 logits are off by tenths at s = 64.
    """
    sub_embeddings = mean_BKD.shape[1]
    with full_precision(mean_BKD):
        mean, confidence, prototypes = wide(mean_BKD, confidence_BK, prototypes_CKD)
        scaled = mean * (confidence / sub_embeddings).unsqueeze(2)
        return scaled.flatten(1) @ prototypes.flatten(1).T


def identification_loss(logits_BC: Tensor, labels_B: Tensor, margin: float) -> Tensor:
    """Mean over B of -log( exp(a_iy - m) / (exp(a_iy - m) + sum_{j != y} exp(a_ij)) ), a scalar.

    The margin is in logits and is not scaled by the confidence, which is not detached.
    All C classes are here, also where a process group is: only ``objective`` spreads them over ranks.
    Raises ValueError where a label is not a class, 0 to C - 1.
    """
    return sharded_cross_entropy(logits_BC, labels_B, margin=margin, sharded=False)
