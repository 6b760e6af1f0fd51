"""Gradients that are written by hand say so when they are differentiated again, instead of being wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from urface.losses import sharded_cross_entropy
from urface.models.heads import bounded, scale_gradient
from urface.models.prelu import PReLU


def rows_prelu(x: Tensor) -> Tensor:
    layer = PReLU(3)
    return layer(x.view(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)).square().sum()


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "cross-entropy": lambda x: sharded_cross_entropy(x.view(4, 6), torch.tensor([0, 1, 2, 3])),
    "bounded": lambda x: bounded(x, -1.0, 1.0).square().sum(),
    "prelu": rows_prelu,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_second_derivative_is_refused(name: str) -> None:
    x = torch.linspace(-2, 2, 24).requires_grad_(True)
    (grad,) = torch.autograd.grad(FUNCTIONS[name](x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.square().sum().backward()


def test_a_scaled_gradient_has_a_second_derivative_that_is_right() -> None:
    x = torch.linspace(-2, 2, 7, dtype=torch.float64).requires_grad_(True)
    (grad,) = torch.autograd.grad(scale_gradient(x, 0.5).pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), x)
    torch.testing.assert_close(grad, 0.5 * 3 * x.square())
    torch.testing.assert_close(second, 0.5 * 0.5 * 6 * x)  # each pass through it is scaled
