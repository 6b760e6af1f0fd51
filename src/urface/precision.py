"""Formulas whose numbers need float32, whatever autocast their caller is in."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> torch.autocast:
    """No autocast on the device of ``tensor`` inside the block, whatever the caller has set."""
    return torch.autocast(tensor.device.type, enabled=False)


def wide(*tensors: Tensor) -> tuple[Tensor, ...]:
    """``tensors`` in one type: float32, or float64 where one of them is."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return tuple(tensor.to(dtype) for tensor in tensors)
