"""Slow float64 loops written from the printed equations, and the inputs the loss tests share."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def unit(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random values of unit length along the last dimension."""
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1).to(
        dtype
    )


def uniform(*shape: int, low: float, high: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def logits_loop(mean: Tensor, confidence: Tensor, prototypes: Tensor) -> list[list[float]]:
    """a_ij = (1/K) sum_k s_i^k <f_i^k, w_j^k>."""
    f, s, w = mean.double().tolist(), confidence.double().tolist(), prototypes.double().tolist()
    return [
        [
            math.fsum(s[i][k] * dot(f[i][k], w[j][k]) for k in range(len(f[i]))) / len(f[i])
            for j in range(len(w))
        ]
        for i in range(len(f))
    ]


def losses_loop(logits: list[list[float]], labels: list[int], margin: float) -> list[float]:
    """-log( exp(a_iy - m) / (exp(a_iy - m) + sum_{j != y} exp(a_ij)) ) of each image."""
    losses = []
    for row, y in zip(logits, labels, strict=True):
        target = row[y] - margin
        others = [a for j, a in enumerate(row) if j != y]
        peak = max([target, *others])
        rest = math.fsum(math.exp(a - peak) for a in others)
        losses.append(math.log1p(rest + (math.exp(target - peak) - 1.0)) + (peak - target))
    return losses


def probabilities_loop(
    logits: list[list[float]], labels: list[int], margin: float
) -> list[list[float]]:
    """p_ij with the margin taken off the target."""
    result = []
    for row, y in zip(logits, labels, strict=True):
        moved = [a - margin if j == y else a for j, a in enumerate(row)]
        peak = max(moved)
        weights = [math.exp(a - peak) for a in moved]
        total = math.fsum(weights)
        result.append([weight / total for weight in weights])
    return result


def mean_of(values: list[float]) -> float:
    return math.fsum(values) / len(values)
