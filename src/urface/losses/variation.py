"""Sub-embedding decorrelation: each variation is read from its own mask and from no other (method, 4).

Shapes: T masks and V variations are the same list, in the same order; T is the mask that is looked
through, V the variation that is asked for. Labels lie in 0..1, hard or soft; NaN is not known.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_logits(mean_BKD: Tensor, masks_TK: Tensor, weight_VKD: Tensor, bias_V: Tensor) -> Tensor:
    """What the linear classifier Cl says of every variation from every masked embedding, [B, T, V].

    Cl(V_t f) = sum over the sub-embeddings k of mask t of <w_v^k, f^k>, plus b_v: the products are taken
    once per sub-embedding and summed by mask, so that no masked copy of f is made.
    """
    parts_BKV = torch.einsum("bkd,vkd->bkv", mean_BKD, weight_VKD)
    return torch.einsum("tk,bkv->btv", masks_TK.to(parts_BKV.dtype), parts_BKV) + bias_V


def classifier_loss(logits_BTV: Tensor, labels_BV: Tensor, known_V: Tensor | None = None) -> Tensor:
    """-sum_t log p_Cl(u | V_t f), a scalar: what Cl learns, every label from every mask.

    Each variation is averaged over the images whose label is known. ``known_V`` are those counts where
    the images are one rank's share: the counts of all ranks divided by the number of ranks.
    """
    entropy_BTV = _cross_entropy(logits_BTV, labels_BV.unsqueeze(1))
    return (entropy_BTV.sum((0, 1)) / _divisor(labels_BV, known_V)).sum()


def classification_loss(
    logits_BTV: Tensor, labels_BV: Tensor, known_V: Tensor | None = None
) -> Tensor:
    """L_cls = -sum_t log p_Cl(u_t | V_t f), a scalar: a mask tells its own variation.

    Averaged as in ``classifier_loss``. Cl's weights are to be detached by the caller.
    """
    own_BV = torch.diagonal(logits_BTV, dim1=1, dim2=2)
    return (_cross_entropy(own_BV, labels_BV).sum(0) / _divisor(labels_BV, known_V)).sum()


def adversarial_loss(logits_BTV: Tensor) -> Tensor:
    """L_adv = -sum_t sum_{t' != t} [1/2 log p(u_t' = 0 | V_t f) + 1/2 log p(u_t' = 1 | V_t f)], a scalar.

    The mean over B. Least, log 2 for each of the T (T - 1) terms, where a mask says nothing of the other
    variations; it needs no labels.
    """
    either_BTV = 0.5 * (F.softplus(logits_BTV) + F.softplus(-logits_BTV))
    others = ~torch.eye(logits_BTV.shape[1], dtype=torch.bool, device=logits_BTV.device)
    return (either_BTV * others).sum((1, 2)).mean()


def distance_correlation(distance_BK: Tensor) -> Tensor:
    """Mean absolute correlation between sub-embeddings, a scalar in 0..1; NaN for K = 1.

    Correlated are, over B images, the distances 1 - <f^k, centre^k> of each sub-embedding from the centre
    of its class (recalled of the paper's figure, which reports about 0.57 without decorrelation); the
    mean is over pairs of different sub-embeddings. One that does not vary counts as uncorrelated.
    """
    centred = distance_BK.double() - distance_BK.double().mean(0)
    norm_K = centred.norm(dim=0)
    unit_BK = centred / norm_K.clamp(min=1e-12)
    correlation_KK = (unit_BK.T @ unit_BK).abs()
    count = correlation_KK.shape[0]
    return (correlation_KK.sum() - correlation_KK.diagonal().sum()) / (count * (count - 1))


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-u log p - (1 - u) log(1 - p) for p = sigmoid(logits); 0 where the label is NaN."""
    labels = labels.to(logits.dtype).expand_as(logits)
    known = ~labels.isnan()
    # Filled before and not only after: NaN times 0 is NaN in the gradient.
    labels = labels.nan_to_num(0.5)
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none") * known


def _divisor(labels_BV: Tensor, known_V: Tensor | None) -> Tensor:
    """How many images each variation is averaged over; 1 where none is known and the sum is 0."""
    if known_V is None:
        known_V = (~labels_BV.isnan()).sum(0)
    return torch.where(known_V > 0, known_V, torch.ones_like(known_V))
