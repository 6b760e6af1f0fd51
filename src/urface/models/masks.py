"""The masks of decorrelation and the classifier that reads variations through them (method, 4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from urface.types import UserError


def draw_masks(variations: int, sub_embeddings: int) -> Tensor:
    """Masks [V, K], bool: K / 2 ones in each, no two alike, from torch's generator.

    Raises UserError where there are not so many different halves, or K is odd.
    """
    half, odd = divmod(sub_embeddings, 2)
    if odd or math.comb(sub_embeddings, half) < variations:
        raise UserError(
            f"{variations} variations need as many different halves of the sub-embeddings: "
            f"model.sub_embeddings {sub_embeddings} has too few"
        )
    chosen: list[tuple[int, ...]] = []
    while len(chosen) < variations:
        mask = tuple(sorted(torch.randperm(sub_embeddings)[:half].tolist()))
        if mask not in chosen:
            chosen.append(mask)
    masks = torch.zeros(variations, sub_embeddings, dtype=torch.bool)
    for row, places in enumerate(chosen):
        masks[row, list(places)] = True
    return masks


class VariationClassifier(nn.Module):
    """Cl: one linear multi-label classifier, weight [V, K, D] and bias [V], for all masks alike.

    It begins at zero, where it says 1/2 of everything, so that it adds no noise to the first steps.
    """

    def __init__(self, variations: int, sub_embeddings: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(variations, sub_embeddings, dim))
        self.bias = nn.Parameter(torch.zeros(variations))
