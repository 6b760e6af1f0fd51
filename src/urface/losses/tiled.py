"""The identification loss over any number of classes without the logits of all of them.

The classes are gone through in tiles, forward and backward. The forward pass needs a memory of B numbers
a class, or the backward pass would have to multiply again; it borrows the gradient of the prototypes,
which is K * D numbers a class and empty until then. So there are three products, as many as the plain
form has, and nothing of the size of B x C or of a second copy of the prototypes.

    forward   tile by tile: logits, their exponentials relative to the highest so far, kept
    backward  tile by tile: the kept ones times exp(highest then - highest) / sum are eq. 25's
              p_ij - 1[j = y_i]; from these the gradients of the images and, in place, of the prototypes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from urface import distributed
from urface.derivatives import first_derivative
from urface.losses import tile_steps
from urface.precision import full_precision, wide

# Classes of a tile. On a CPU two tiles of float32 with K * D = 512 then fit into a cache of 8 MB; on a GPU
# (never measured) it is what keeps the launches few, in about 200 MB for 1,024 images.
CPU_TILE, GPU_TILE = 1024, 32768

# Tiles whose share of the images' gradient is summed in float32; 360,000 terms would lose three digits.
FLUSH = 16


@dataclass(frozen=True)
class Shard:
    """Which classes a rank's prototypes are.

    first_class  class of row 0
    rows         the rows that take part, ascending, int64; None for all. The own classes of all images
                 that lie in the shard must be among them.
    """

    first_class: int = 0
    rows: Tensor | None = None


def tiled_cross_entropy(
    scaled_BKD: Tensor,
    weight_SKD: Tensor,
    labels_B: Tensor,
    target: Callable[[Tensor], Tensor],
    *,
    shard: Shard | None = None,
    limit_B: Tensor | None = None,
    tile: int | None = None,
) -> Tensor:
    """Mean over B of -log(exp(t_i) / (exp(t_i) + sum_{j != y} exp(a_ij))), the same scalar on every rank.

    scaled_BKD  s f / K of the images of all ranks, so that a_ij = <scaled_i, w_j / |w_j|> is eq. 24
    weight_SKD  this rank's raw prototypes; their length is divided out per sub-embedding
    labels_B    class of each image, int64, counted over all ranks
    target      gives t_i out of the logits a_iy [B] of the own classes: the margin, elementwise
    limit_B     classes other than its own with a logit above it are left out of an image's sum

    Logits and sums are float32 at least, whatever autocast the caller is in. The gradient of the
    prototypes is sparse where ``shard.rows`` are given. Backward can run once, and its result cannot be
    differentiated. Raises ValueError for labels of no class; on a GPU, which it would have to wait for,
    the loss is NaN instead.
    """
    if labels_B.dtype != torch.int64 or labels_B.shape != scaled_BKD.shape[:1]:
        raise ValueError(f"labels must be int64 [{scaled_BKD.shape[0]}]")
    with full_precision(scaled_BKD):
        dtype = torch.promote_types(wide(scaled_BKD)[0].dtype, weight_SKD.dtype)
        scaled = scaled_BKD.to(dtype)
        size = tile or (GPU_TILE if scaled.is_cuda else CPU_TILE)
        return _Tiled.apply(scaled, weight_SKD, labels_B, target, shard or Shard(), limit_B, size)


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        scaled_BKD: Tensor,
        weight_SKD: Tensor,
        labels_B: Tensor,
        target: Callable[[Tensor], Tensor],
        shard: Shard,
        limit_B: Tensor | None,
        size: int,
    ) -> Tensor:
        images, weight_SKD = scaled_BKD.flatten(1), weight_SKD.detach()
        local_B = labels_B - shard.first_class
        here_B = (local_B >= 0) & (local_B < len(weight_SKD))
        place_B = _places(local_B, here_B, shard.rows)
        own_B = _own_logits(scaled_BKD, weight_SKD, local_B, here_B)
        with torch.enable_grad():
            leaf = own_B.requires_grad_()
            target_B = target(leaf)
            (slope_B,) = torch.autograd.grad(target_B.sum(), leaf)

        grad = memory = None
        ctx.classes = len(weight_SKD) if shard.rows is None else len(shard.rows)
        if ctx.needs_input_grad[1]:
            grad = weight_SKD.new_empty(ctx.classes, *weight_SKD.shape[1:])
            memory = _as_memory(grad.flatten(1), images.dtype)
        kept = 0 if memory is None else min(len(images), memory.shape[1])
        # No logit is below it, so that it is finite also where a rank has no class or all are left out.
        peak_B = -torch.linalg.vector_norm(scaled_BKD, dim=2).sum(1)
        total_B = torch.zeros_like(own_B)
        peaks, room = [], None
        for rows, weight, _ in _units(weight_SKD, shard.rows, size, images.dtype):
            if memory is not None and kept == len(images):
                logits = memory[rows, :kept]
            else:
                room = images.new_empty(len(weight), len(images)) if room is None else room
                logits = room[: len(weight)]
            torch.mm(weight.flatten(1), images.T, out=logits)
            steps_for(images).exponentials(logits, place_B - rows.start, limit_B, peak_B, total_B)
            peaks.append(peak_B.clone())
            if memory is not None and kept < len(images):
                memory[rows, :kept] = logits[:, :kept]

        found = torch.stack([here_B.double(), torch.where(here_B, target_B.detach(), 0.0)])
        top_B = torch.where(here_B, torch.maximum(peak_B.double(), found[1]), peak_B.double())
        distributed.all_reduce_max(top_B)
        sums = torch.cat([found, (total_B * (peak_B - top_B).exp()).unsqueeze(0)])
        distributed.all_reduce_sum(sums)
        owners_B, moved_B, rest_B = sums
        # The own exponential stays out of the sum: 1 + 1e-9 is 1, and a small loss would be lost.
        # With no other class there is no highest logit to be relative to, and the loss is 0.
        alone_B = rest_B == 0
        self_B = torch.where(alone_B, 1.0, (moved_B - top_B).exp())
        loss_B = torch.log1p(rest_B + (self_B - 1.0)) + (top_B - moved_B)
        loss_B = _of_classes(torch.where(alone_B, 0.0, loss_B), owners_B, labels_B)

        ctx.save_for_backward(scaled_BKD, weight_SKD)
        ctx.shard, ctx.size, ctx.limit, ctx.place = shard, size, limit_B, place_B
        ctx.grad, ctx.memory, ctx.kept, ctx.peaks = grad, memory, kept, peaks
        ctx.top, ctx.inverse = top_B, 1.0 / (rest_B + self_B)
        ctx.own = -rest_B * ctx.inverse * slope_B
        return loss_B.mean().to(images.dtype)

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        with full_precision(ctx.saved_tensors[0]):  # whoever goes backward may be in autocast
            return _backward(ctx, grads[0])


def _backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
    scaled_BKD, weight_SKD = ctx.saved_tensors
    grad, memory, kept = ctx.grad, ctx.memory, ctx.kept
    # Nothing else may hold the gradient when it is returned, or autograd would copy it. Whoever goes
    # backward again, through a graph that was retained, has no memory: logits are multiplied anew.
    ctx.grad, ctx.memory, ctx.kept = None, None, 0
    if grad is None and ctx.needs_input_grad[1]:
        grad = weight_SKD.new_empty(ctx.classes, *weight_SKD.shape[1:])
    images = scaled_BKD.flatten(1)
    share_B = scale.double() / len(images)
    own_B, factor_B = (ctx.own * share_B).to(images.dtype), ctx.inverse * share_B
    narrow = None if ctx.limit is None else ctx.limit[kept:]
    of_images, whole = torch.zeros_like(images), torch.zeros_like(images, dtype=torch.float64)
    room = spare = None
    units = _units(weight_SKD, ctx.shard.rows, ctx.size, images.dtype)
    for number, ((rows, weight, inverse), peak_B) in enumerate(zip(units, ctx.peaks, strict=True)):
        if room is None or spare is None:
            room, spare = images.new_empty(len(weight), len(images)), torch.empty_like(weight)
        flat, difference = weight.flatten(1), room[: len(weight)]
        if memory is not None:
            since = (peak_B - ctx.top).exp_().mul_(factor_B).to(images.dtype)
            torch.mul(memory[rows, :kept], since[:kept], out=difference[:, :kept])
        if kept < len(images):
            again = torch.mm(flat, images[kept:].T)
            last = ctx.top[kept:].to(images.dtype), factor_B[kept:].to(images.dtype)
            tile_steps.probabilities(again, narrow, *last)
            difference[:, kept:] = again
        tile_steps.put_own(difference, ctx.place - rows.start, own_B)
        of_images.addmm_(difference.T, flat)
        if number % FLUSH == FLUSH - 1:
            whole += of_images
            of_images.zero_()
        if grad is not None:
            # In the type of the sums; where the prototypes are of another, by way of a tile.
            same = grad.dtype == images.dtype
            part = grad[rows] if same else torch.empty_like(weight)
            torch.mm(difference, images, out=part.flatten(1))
            steps_for(images).through_norm(part, weight, inverse, spare[: len(weight)])
            if not same:
                grad[rows] = part
    del memory
    if grad is not None and ctx.shard.rows is not None:
        rows = ctx.shard.rows.unsqueeze(0)
        grad = torch.sparse_coo_tensor(
            rows, grad, weight_SKD.shape, is_coalesced=True, check_invariants=False
        )
    total = (whole + of_images).to(images.dtype).view_as(scaled_BKD)
    return total, grad, None, None, None, None, None


def _of_classes(loss_B: Tensor, owners_B: Tensor, labels_B: Tensor) -> Tensor:
    """``loss_B`` where each label is a class of one rank; ValueError, or on a GPU NaN, where it is not."""
    if loss_B.is_cuda:
        return torch.where(owners_B == 1, loss_B, torch.nan)
    if bool((owners_B != 1).any()):
        wrong = labels_B[owners_B != 1][0].item()
        raise ValueError(f"label {wrong} is not one of the classes")
    return loss_B


def steps_for(tensor: Tensor) -> ModuleType:
    """The Triton kernels for float32 on a GPU that has Triton, else the steps in torch."""
    if tensor.is_cuda and tensor.dtype == torch.float32 and find_spec("triton") is not None:
        return import_module("urface.losses.tile_kernels")
    return tile_steps


def _places(local_B: Tensor, here_B: Tensor, rows: Tensor | None) -> Tensor:
    """The row of each image's own class among those that take part, -1 for none."""
    if rows is None:
        return torch.where(here_B, local_B, -1)
    place_B = torch.searchsorted(rows, local_B).clamp_(max=max(0, len(rows) - 1))
    return torch.where(here_B, place_B, -1)


def _own_logits(scaled_BKD: Tensor, weight_SKD: Tensor, local_B: Tensor, here_B: Tensor) -> Tensor:
    """a_iy in float64, [B]; 0 for the images whose class is another rank's."""
    if not len(weight_SKD):
        return local_B.new_zeros(local_B.shape, dtype=torch.float64)
    weight_BKD = weight_SKD[torch.where(here_B, local_B, 0)].double()
    return (scaled_BKD * F.normalize(weight_BKD, dim=2)).sum((1, 2)) * here_B


def _as_memory(grad_SE: Tensor, dtype: torch.dtype) -> Tensor | None:
    """The same memory as rows of numbers of ``dtype``; None where they do not fit."""
    if grad_SE.dtype == dtype:
        return grad_SE
    fits = grad_SE.shape[1] * grad_SE.element_size() % dtype.itemsize == 0
    return grad_SE.view(dtype) if fits else None


def _units(
    weight_SKD: Tensor, rows: Tensor | None, size: int, dtype: torch.dtype
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Tiles of the classes that take part: their places, w / |w| [T, K, D] (one buffer) and 1 / |w|."""
    classes = len(weight_SKD) if rows is None else len(rows)
    room = weight_SKD.new_empty(min(size, classes), *weight_SKD.shape[1:], dtype=dtype)
    for first in range(0, classes, size):
        part = slice(first, min(first + size, classes))
        weight = weight_SKD[part] if rows is None else weight_SKD[rows[part]]
        out = room[: len(weight)]
        yield part, out, tile_steps.unit(weight, out)
