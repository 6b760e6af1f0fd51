"""What is done to one tile of classes between the products of `losses.tiled`, in place, in torch.

Shapes: T classes of a tile, B images. A tile of logits is [T, B], class by image, so that the sums over
classes run down the rows. `losses.tile_kernels` does the same on a GPU in one pass each.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_NORM = 1e-12  # as F.normalize has it


def unit(weight_TKD: Tensor, out_TKD: Tensor) -> Tensor:
    """Write w / |w| into ``out_TKD``; returns 1 / |w| [T, K, 1], at most 1e12, as F.normalize has it."""
    norm_TK1 = torch.linalg.vector_norm(weight_TKD, dim=2, keepdim=True, dtype=out_TKD.dtype)
    inverse_TK1 = norm_TK1.clamp_(min=SMALLEST_NORM).reciprocal_()
    torch.mul(weight_TKD, inverse_TK1, out=out_TKD)
    return inverse_TK1


def exponentials(
    logits_TB: Tensor, place_B: Tensor, limit_B: Tensor | None, peak_B: Tensor, total_B: Tensor
) -> None:
    """Turn logits into exp(logit - peak), raise ``peak_B`` to the tile's and add the sums to ``total_B``.

    place_B  row of each image's own class, whatever is outside 0..T - 1 being in no row: its exponential
             is set to 0
    limit_B  logits above it are left out likewise; None keeps all
    total_B  in float64, of exponentials relative to ``peak_B`` before and after
    """
    put_own(logits_TB, place_B, torch.full_like(peak_B, -torch.inf))
    if limit_B is not None:
        logits_TB.masked_fill_(logits_TB > limit_B, -torch.inf)
    higher = torch.maximum(peak_B, logits_TB.amax(0))
    logits_TB.sub_(higher).exp_()
    total_B.mul_((peak_B.double() - higher).exp()).add_(logits_TB.sum(0))
    peak_B.copy_(higher)


def probabilities(
    logits_TB: Tensor, limit_B: Tensor | None, peak_B: Tensor, factor_B: Tensor
) -> None:
    """Turn logits into exp(logit - peak) * factor; 0 above the limit. The own class is not looked at."""
    if limit_B is not None:
        logits_TB.masked_fill_(logits_TB > limit_B, -torch.inf)
    logits_TB.sub_(peak_B).exp_().mul_(factor_B)


def put_own(tile_TB: Tensor, place_B: Tensor, values_B: Tensor) -> None:
    """Write each image's value into the row of its own class, where that is in the tile."""
    # Not by the list of those in the tile: a GPU would be waited for to know its length.
    rows = place_B.clamp(0, tile_TB.shape[0] - 1)
    images = torch.arange(len(place_B), device=place_B.device)
    inside = rows == place_B
    tile_TB[rows, images] = torch.where(inside, values_B, tile_TB[rows, images])


def through_norm(
    grad_TKD: Tensor, unit_TKD: Tensor, inverse_TK1: Tensor, spare_TKD: Tensor
) -> None:
    """Turn the gradient of w / |w| into that of w, in place: (g - <g, u> u) / |w|.

    Where |w| is below F.normalize's bound the division is by a constant: g alone is divided.
    """
    along = torch.mul(grad_TKD, unit_TKD, out=spare_TKD).sum(2, keepdim=True)
    along.masked_fill_(inverse_TK1 >= 1.0 / SMALLEST_NORM, 0.0)
    grad_TKD.addcmul_(unit_TKD, along, value=-1.0).mul_(inverse_TK1)
