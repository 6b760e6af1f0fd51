"""Mining further variations (section 5 of the method): attributes, and an adversary of identity.

    theta_A:  min  -log p(l | x) - (1/N) sum_c log p(y = c | x)
    D_A:      min  -log p(y = y_x | x)

theta_A is to know the attributes l and to leave D_A, which reads the identity off its features, with
nothing better than a guess over all N people.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def attribute_loss(logits_BA: Tensor, labels_BA: Tensor) -> Tensor:
    """-log p(l | x), summed over attributes and averaged over images, a scalar.

    ``labels_BA`` are 0..1 (soft ones are cross-entropies) and NaN where not known: those are left out,
    each attribute being averaged over the images where it is known. 0 where nothing is known.
    """
    known = ~torch.isnan(labels_BA)
    each = F.binary_cross_entropy_with_logits(
        logits_BA, torch.where(known, labels_BA, 0.0), reduction="none"
    )
    per_attribute = torch.where(known, each, 0.0).sum(0) / known.sum(0).clamp(min=1)
    return per_attribute.sum()


def confusion_loss(identity_logits_BN: Tensor) -> Tensor:
    """-(1/N) sum_c log p(y = c | x), averaged over images, less log N, a scalar.

    It is least, at 0, where the adversary thinks all N people equally likely. The log N that is taken
    off is constant: losses of sets of different sizes can then be compared.
    """
    return -F.log_softmax(identity_logits_BN, 1).mean() - math.log(identity_logits_BN.shape[1])


def identity_loss(identity_logits_BN: Tensor, labels_B: Tensor) -> Tensor:
    """-log p(y = y_x | x), averaged over images, a scalar: what D_A minimises."""
    return F.cross_entropy(identity_logits_BN, labels_B)
