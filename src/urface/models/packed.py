"""Convolutions whose weights lie as oneDNN wants them: a seventh faster for a single face.

At every call torch's convolution brings its weights into blocks first; iresnet50 has 72 MB of them, which
counts where one face passes through. Here it is done once. torch is pinned, since the operation is not a
public one; where it is missing (another processor, another torch) the network stays as it is. The numbers
are the same to rounding, and to the bit where torch itself would have asked oneDNN (iresnets at 112 pixels).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from urface.models.iresnet import IResNet
from urface.models.urface import URFace

# Weights. Below, nothing is gained.
WORTH = 4_000_000


class PackedConv(nn.Module):
    """``conv`` for inference on a CPU in float32, on maps of the size [1, C, H, W] and others."""

    def __init__(self, conv: nn.Conv2d, size: list[int]) -> None:
        super().__init__()
        self.bias = conv.bias
        self.shape = (conv.padding, conv.stride, conv.dilation, conv.groups)
        # Held outside the state: an opaque tensor that can neither be saved nor copied.
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        self._weight: Any = reorder(conv.weight.detach().to_mkldnn(), *self.shape, size)

    def forward(self, x: Tensor) -> Tensor:
        padding, stride, dilation, groups = self.shape
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._weight, self.bias, padding, stride, dilation, groups, "none", [], ""
        )
        return result


def packed(network: URFace) -> URFace:
    """``network``, which ``folded`` made and which is changed, with packed convolutions where that pays.

    For float32 on a CPU. Its backbone can then neither be trained nor saved.
    """
    backbone = network.backbone
    if not isinstance(backbone, IResNet) or not can_pack():
        return network
    convs = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    if sum(conv.weight.numel() for conv in convs) < WORTH:
        return network
    side = backbone.input_size
    sizes = _sizes(backbone, torch.zeros(1, side, side, 3).permute(0, 3, 1, 2))
    for parent in list(backbone.modules()):
        for name, conv in list(parent.named_children()):
            if isinstance(conv, nn.Conv2d):
                setattr(parent, name, PackedConv(conv, sizes[conv]))
    return network


def can_pack() -> bool:
    """Whether this torch on this processor has what it takes."""
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    )


@torch.inference_mode()
def _sizes(backbone: nn.Module, pixels: Tensor) -> dict[nn.Module, list[int]]:
    """Of the map that each convolution is given."""
    found: dict[nn.Module, list[int]] = {}

    def note(conv: nn.Module, given: tuple[Tensor, ...]) -> None:
        found[conv] = list(given[0].shape)

    convs = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    hooks = [conv.register_forward_pre_hook(note) for conv in convs]
    backbone(pixels)
    for hook in hooks:
        hook.remove()
    return found
