"""Gradients that are written by hand are first derivatives; differentiating them again must say so."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch.autograd.function import once_differentiable

Backward = Callable[..., Any]


def first_derivative(backward: Backward) -> Backward:
    """Make ``backward`` of an autograd.Function raise RuntimeError when its result is differentiated.

    torch's once_differentiable alone lets it pass where the incoming gradient is a constant, as it is for
    a loss: what lies before would then be differentiated as if the loss were linear.
    """
    once: Backward = once_differentiable(backward)

    @wraps(backward)
    def marked(ctx: Any, *grads: Any) -> Any:
        if torch.is_grad_enabled():  # that is, under create_graph
            grads = tuple(
                grad.detach().requires_grad_()
                if grad is not None and not grad.requires_grad
                else grad
                for grad in grads
            )
        return once(ctx, *grads)

    return marked
