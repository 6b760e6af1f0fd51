"""Optimiser, schedule and clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from urface import distributed
from urface.config import OptimSettings, TrainSettings
from urface.models.prototypes import Prototypes
from urface.models.urface import URFace
from urface.training.prototype_sgd import PrototypeSGD, rows_of


def build_optimizer(
    model: URFace, prototypes: Prototypes, settings: OptimSettings, fused: bool = False
) -> torch.optim.Optimizer:
    """SGD or AdamW over matrices (decayed), vectors (not), the confidence branch (slower), prototypes.

    Each group keeps its share of the rate as `factor`, so that a resumed run reads it from the settings
    and not from the checkpoint.
    """
    confidence = {id(p) for p in model.confidence_head.parameters()}
    body = [p for p in model.parameters() if p.requires_grad and id(p) not in confidence]
    groups = [
        {"params": [p for p in body if p.ndim >= 2], "factor": 1.0},
        {"params": [p for p in body if p.ndim < 2], "factor": 1.0, "weight_decay": 0.0},
        {
            # Decay would draw the log-confidence towards 0, that is s towards 1.
            "params": [p for p in model.confidence_head.parameters() if p.requires_grad],
            "factor": settings.confidence_factor,
            "weight_decay": 0.0,
        },
        {"params": list(prototypes.parameters()), "factor": 1.0, "stored": prototypes.stored},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, weight_decay=settings.weight_decay, fused=fused)
    return PrototypeSGD(
        groups,
        lr=0.0,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=fused,
    )


def fused_for(settings: TrainSettings, device: torch.device) -> bool:
    """Whether to update all values of a parameter in one pass over memory, as run.fused says.

    For SGD that gives the same bits as several passes; for AdamW on the CPU it does not (they differ by
    rounding), so that auto leaves it, for the sake of earlier runs.
    """
    if settings.run.fused == "auto":
        return device.type == "cuda" or settings.optim.optimizer == "sgd"
    return settings.run.fused == "always"


def update(optimizer: torch.optim.Optimizer, skip: Tensor | None = None) -> None:
    """Take a step; none where ``skip`` is 1, which a fused ``optimizer`` reads where it lies.

    torch's name for the flag is its GradScaler's, which is how fused optimisers leave out a step without
    the processor hearing of it.
    """
    if skip is not None:
        assert optimizer.defaults["fused"]
        optimizer.found_inf = skip  # type: ignore[attr-defined]
    optimizer.step()


def schedule(step: int, steps: int, settings: OptimSettings) -> float:
    """The learning rate of ``step`` out of ``steps``: a linear warm-up, then the fall."""
    warmup = int(settings.warmup_share * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    if settings.schedule == "steps":
        passed = sum(step >= share * steps for share in settings.step_shares)
        return settings.learning_rate * 0.1**passed
    progress = (step - warmup) / max(1, steps - warmup)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give each group its share of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def clip_gradients(
    shared: Iterable[nn.Parameter], sharded: Iterable[nn.Parameter], limit: float
) -> Tensor:
    """Scale all gradients down to a norm of ``limit``; the norm before that, a scalar tensor.

    ``shared`` parameters are alike on every rank, ``sharded`` ones (the prototypes) differ: their part
    of the norm is summed over ranks, so that every rank scales by the same number.
    """
    shared_grads = [p.grad for p in shared if p.grad is not None]
    sharded_grads = [rows_of(p) for p in sharded if p.grad is not None]
    square = torch.zeros((), device=(shared_grads or sharded_grads)[0].device)
    if sharded_grads:
        # No copy of the prototypes' size is made, and norms of bf16 are taken in float32.
        norms = [torch.linalg.vector_norm(g, dtype=torch.float32) for g in sharded_grads]
        square = square + torch.stack(norms).square().sum()
    distributed.all_reduce_sum(square)
    if shared_grads:
        square = square + torch.stack(torch._foreach_norm(shared_grads)).square().sum()
    norm = square.sqrt()
    scale = (limit / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(shared_grads + sharded_grads, scale)
    return norm
