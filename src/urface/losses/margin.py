"""ArcFace's additive angular margin (Deng et al., CVPR 2019), as a change of the target cosine."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def arcface_target(cosine_B: Tensor, margin: float) -> Tensor:
    """cos(theta + m) for the cosines of the targets, by the addition theorem.

    acos would have an infinite slope at +-1; sqrt(1 - cos^2) has it too, so it is kept off zero. Beyond
    theta = pi - m, where cos(theta + m) would rise again, the target goes on falling as cos(theta) -
    m sin(m), so that the loss stays monotone in theta.
    """
    sine = torch.sqrt((1.0 - cosine_B * cosine_B).clamp(min=1e-7))
    shifted = cosine_B * math.cos(margin) - sine * math.sin(margin)
    return torch.where(
        cosine_B > math.cos(math.pi - margin), shifted, cosine_B - margin * math.sin(margin)
    )


def arcface_logits(
    logits_BS: Tensor, labels_B: Tensor, scale: float, margin: float, first_class: int = 0
) -> Tensor:
    """Logits s cos(theta) with the target's replaced by s cos(theta + m), [B, S].

    ``logits_BS`` are identification_logits with K = 1 and the constant confidence ``scale``;
    ``first_class`` is the class of column 0 where the classes are spread over ranks.
    """
    local = labels_B - first_class
    rows = torch.nonzero((local >= 0) & (local < logits_BS.shape[1])).squeeze(1)
    columns = local[rows]
    target = arcface_target(logits_BS[rows, columns] / scale, margin) * scale
    return logits_BS.index_put((rows, columns), target)
