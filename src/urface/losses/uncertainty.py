"""Stage two: how likely genuine pairs are under the predicted variances (PFE, ICCV 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from urface.scoring.likelihood import likelihood_score


def genuine_pairs(labels_B: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (i, j), i < j, of all pairs of the same person in the batch."""
    same = labels_B.unsqueeze(0) == labels_B.unsqueeze(1)
    first, second = torch.nonzero(torch.triu(same, diagonal=1), as_tuple=True)
    return first, second


def uncertainty_loss(mean_BKD: Tensor, variance_BK: Tensor, labels_B: Tensor) -> Tensor:
    """-mean over genuine pairs of the likelihood score, divided by K * D, a scalar.

    It is the score that serving uses (`urface.scoring.likelihood`); variances are [B, K], or [B, K, D]
    with one a dimension. The division makes the value and
    the learning rate independent of the size of the embedding; it does not move the minimum. Raises
    ValueError where no two images in the batch are of the same person.
    """
    first, second = genuine_pairs(labels_B)
    if len(first) == 0:
        raise ValueError("the batch has no two images of the same person")
    scores = likelihood_score(
        mean_BKD[first], variance_BK[first], mean_BKD[second], variance_BK[second]
    )
    return -scores.mean() / (mean_BKD.shape[1] * mean_BKD.shape[2])
