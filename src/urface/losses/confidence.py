"""The regulariser against over-confidence."""

from __future__ import annotations

from torch import Tensor


def confidence_regularizer(confidence_BK: Tensor) -> Tensor:
    """Mean over B of (1/K) sum_k (s_i^k)^2, a scalar (recalled from the main paper)."""
    return confidence_BK.square().mean()
