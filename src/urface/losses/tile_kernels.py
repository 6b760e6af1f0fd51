"""`losses.tile_steps` for CUDA tensors, each step in one pass over the tile instead of four to six.

Written in Triton and run so far in its interpreter only, never on a GPU. The products stay torch's.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from urface.losses.tile_steps import SMALLEST_NORM

IMAGES, CLASSES = 32, 64  # a block of a tile of logits
SPAN = 512  # classes of a program


@triton.jit
def _exponentials(
    logits, stride, place, limit, peak, higher, sums, classes, images,
    HIGHEST: tl.constexpr, LIMITED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    SPAN: tl.constexpr,
):  # fmt: skip
    """A program has COLUMNS images and SPAN classes: their highest, or exponentials and sums."""
    image = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = image < images
    own = tl.load(place + image, mask=inside, other=-1)
    top = tl.load((peak if HIGHEST else higher) + image, mask=inside, other=0.0)
    total = tl.zeros((COLUMNS,), dtype=tl.float32)
    begin = tl.program_id(1) * SPAN
    for first in range(0, SPAN, ROWS):
        row = begin + first + tl.arange(0, ROWS)
        where = logits + row[:, None].to(tl.int64) * stride + image[None, :]
        there = (row < classes)[:, None] & inside[None, :]
        value = tl.load(where, mask=there, other=-float("inf"))
        left_out = row[:, None] == own[None, :]
        if LIMITED:
            left_out |= value > tl.load(limit + image, mask=inside, other=0.0)[None, :]
        value = tl.where(left_out, -float("inf"), value)
        if HIGHEST:
            top = tl.maximum(top, tl.max(value, 0), propagate_nan=tl.PropagateNan.ALL)
        else:
            power = tl.exp(value - top[None, :])
            total += tl.sum(power, 0)
            tl.store(where, power, mask=there)
    out = sums + tl.program_id(1) * images + image
    tl.store(out, top if HIGHEST else total, mask=inside)


@triton.jit
def _through_norm(grad, unit, inverse, length, bound, SIZE: tl.constexpr):
    """A program has one sub-embedding of one prototype."""
    number = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, SIZE)
    where, inside = number * length + column, column < length
    g = tl.load(grad + where, mask=inside, other=0.0)
    u = tl.load(unit + where, mask=inside, other=0.0)
    factor = tl.load(inverse + number)
    along = tl.where(factor >= bound, 0.0, tl.sum(g * u, 0))
    tl.store(grad + where, (g - along * u) * factor, mask=inside)


def exponentials(
    logits_TB: Tensor, place_B: Tensor, limit_B: Tensor | None, peak_B: Tensor, total_B: Tensor
) -> None:
    """`tile_steps.exponentials` for float32 in two passes."""
    classes, images = logits_TB.shape
    assert logits_TB.stride(1) == 1
    spans = triton.cdiv(classes, SPAN)
    sums = peak_B.new_empty(spans, images)
    limit = peak_B if limit_B is None else limit_B
    higher = peak_B
    for highest in (True, False):
        _exponentials[(triton.cdiv(images, IMAGES), spans)](
            logits_TB, logits_TB.stride(0), place_B, limit, peak_B, higher, sums, classes, images,
            HIGHEST=highest, LIMITED=limit_B is not None, ROWS=CLASSES, COLUMNS=IMAGES, SPAN=SPAN,
        )  # fmt: skip
        if highest:
            higher = sums.amax(0)
    total_B.mul_((peak_B.double() - higher).exp()).add_(sums.sum(0))
    peak_B.copy_(higher)


def through_norm(
    grad_TKD: Tensor, unit_TKD: Tensor, inverse_TK1: Tensor, spare_TKD: Tensor
) -> None:
    """`tile_steps.through_norm` for float32 in one pass; ``spare_TKD`` is not needed."""
    classes, parts, length = grad_TKD.shape
    assert grad_TKD.is_contiguous()
    assert unit_TKD.is_contiguous()
    _through_norm[(classes * parts,)](
        grad_TKD, unit_TKD, inverse_TK1, length, 1.0 / SMALLEST_NORM,
        SIZE=triton.next_power_of_2(length),
    )  # fmt: skip
