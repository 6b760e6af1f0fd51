"""The branches that follow the last convolution: the embedding, and a confidence per sub-embedding."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from urface.derivatives import first_derivative


class EmbeddingHead(nn.Module):
    """Flattened map [B, F] -> [B, dim]: one fully connected layer and a BatchNorm (InsightFace's names).

    The BatchNorm's weight is fixed at 1, as in InsightFace: a scale per dimension would undo the
    normalisation that follows.
    """

    def __init__(self, in_features: int, dim: int = 512) -> None:
        super().__init__()
        self.fc = nn.Linear(in_features, dim)
        self.features = nn.BatchNorm1d(dim)
        self.features.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x)
        # Outside autocast: cosines in bfloat16 are off by degrees where they matter (near 1).
        with torch.autocast(x.device.type, enabled=False):
            return self.features(x.float())


class ConfidenceHead(nn.Module):
    """Flattened map [B, F] -> log-confidence [B, K]: one fully connected layer, held in a range.

    The caller takes exp (supplementary B: exp makes every confidence positive). The bias starts at
    log(initial) and the weights start small, so that training begins as CosFace at that scale.
    """

    def __init__(
        self,
        in_features: int,
        sub_embeddings: int,
        initial: float = 64.0,
        bounds: tuple[float, float] = (1.0, 128.0),
    ) -> None:
        super().__init__()
        self.fc = nn.Linear(in_features, sub_embeddings)
        # The map has unit variance per feature (it leaves a BatchNorm). Unscaled, one step would move
        # the log-confidence by in_features times the rate: thousands of times the bias's share.
        self.scale = in_features**-0.5
        self.bounds = (math.log(bounds[0]), math.log(bounds[1]))
        # Log-confidence begins with a standard deviation of 0.05 between images.
        nn.init.normal_(self.fc.weight, 0.0, 0.05)
        nn.init.constant_(self.fc.bias, math.log(initial))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return bounded(self.fc(x.float() * self.scale), *self.bounds)


class ConstantConfidence(nn.Module):
    """The same log-confidence for every image and sub-embedding: CosFace's and ArcFace's scale."""

    def __init__(self, sub_embeddings: int, value: float) -> None:
        super().__init__()
        self.register_buffer("log_value", torch.full((sub_embeddings,), math.log(value)))
        self.log_value: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.log_value.expand(x.shape[0], -1)


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp ``x`` to [low, high] with a gradient that can always lead back inside.

    A plain clamp has no gradient outside, so a confidence that once left its range would stay there
    for ever; here a gradient step that points back into the range passes, one that points further out
    does not.
    """
    return _Bounded.apply(x, low, high)


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """``x`` itself, whose gradient is multiplied by ``factor``; 0 rests what lies behind it.

    Unlike detach it leaves every parameter with a gradient, which data-parallel training waits for.
    """
    return _ScaleGradient.apply(x, factor)


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.factor, None


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = (low, high)
        return x.clamp(low, high)

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        low, high = ctx.bounds
        grad = grads[0]
        # A step goes against the gradient: at x > high only a positive gradient leads back.
        outward = ((x > high) & (grad < 0)) | ((x < low) & (grad > 0))
        return grad.masked_fill(outward, 0.0), None, None
