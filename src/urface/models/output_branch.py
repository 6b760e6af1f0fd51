"""Confidences from what a network gave, where nothing before its last layer can be seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from urface.models.heads import bounded
from urface.models.urface import UNCERTAINTY_RANGE


class OutputBranch(nn.Module):
    """An embedding before normalisation [B, K * D] -> log-confidence [B, K] or [B, K * D].

    A small perceptron that sees the direction of each of the K parts and the logarithm of its length,
    which is what blur and occlusion shorten. It knows less than a branch on the last feature map: what
    a network left out of its embedding cannot be read from it.
    """

    def __init__(
        self, dim: int, parts: int, per_dimension: bool = False, hidden: int = 256
    ) -> None:
        super().__init__()
        self.parts = parts
        self.hidden = nn.Linear(dim + parts, hidden)
        self.fc = nn.Linear(hidden, dim if per_dimension else parts)
        self.bounds = (math.log(UNCERTAINTY_RANGE[0]), math.log(UNCERTAINTY_RANGE[1]))
        # Of the log lengths in training: their level differs by network, and a constant one says nothing.
        self.register_buffer("length_mean", torch.zeros(parts))
        self.register_buffer("length_spread", torch.ones(parts))
        self.length_mean: Tensor
        self.length_spread: Tensor
        nn.init.normal_(self.fc.weight, 0.0, 0.05 * hidden**-0.5)
        nn.init.constant_(self.fc.bias, math.log(dim / parts))

    def learn_lengths(self, vectors: Tensor) -> None:
        """Take mean and spread of the log lengths from ``vectors`` [N, K * D]."""
        logs = self._lengths(vectors).log()
        self.length_mean.copy_(logs.mean(0))
        self.length_spread.copy_(logs.std(0, unbiased=False).clamp(min=SMALLEST_SPREAD))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        length = self._lengths(x)
        each = x.shape[1] // self.parts
        units = x.unflatten(1, (self.parts, each)) / length[:, :, None] * each**0.5
        logs = (length.log() - self.length_mean) / self.length_spread
        seen = torch.cat([units.flatten(1), logs.clamp(-5.0, 5.0)], 1)
        return bounded(self.fc(torch.relu(self.hidden(seen))), *self.bounds)

    def _lengths(self, x: Tensor) -> Tensor:
        return x.float().unflatten(1, (self.parts, -1)).norm(dim=2).clamp(min=1e-12)


SMALLEST_SPREAD = 1e-3  # below it a length is rounding, as of features that were normalised before
