"""BatchNorm folded into the convolutions before it, for inference: the same numbers, fewer passes.

In evaluation a BatchNorm is y = g x + h a channel, so BN(W * x + b) = (g W) * x + (g b + h). The first
BatchNorm of a block stays: its convolution pads with zeros after it, and h would be missing at the border.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from urface.models.iresnet import Block, IResNet
from urface.models.urface import URFace


def folded(model: URFace) -> URFace:
    """``model``, which is in evaluation, for inference: its backbone a folded copy, the rest shared with it.

    Equal to 1e-5 of what ``model`` says in evaluation, in float32; later changes of ``model``'s backbone are
    not seen. A backbone that is no IResNet is shared as it is.
    """
    network = copy.copy(model)
    network._modules = dict(model._modules)
    if isinstance(model.backbone, IResNet):
        network._modules["backbone"] = _folded_backbone(model.backbone)
    network.training = False  # to call its eval would reach what is shared
    return network


def _folded_backbone(backbone: IResNet) -> IResNet:
    network: Any = copy.deepcopy(backbone).eval()
    _fold(network, "conv1", "bn1")
    for block in [module for module in network.modules() if isinstance(module, Block)]:
        _fold(block, "conv1", "bn2")
        _fold(block, "conv2", "bn3")
        if block.downsample is not None:
            _fold(block.downsample, "0", "1")
    return network


@torch.no_grad()
def _fold(parent: nn.Module, conv_name: str, norm_name: str) -> None:
    conv: Any = parent.get_submodule(conv_name)
    norm: Any = parent.get_submodule(norm_name)
    # float64: weights are rounded once.
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = norm.bias.double() - scale * norm.running_mean.double()
    conv.weight.copy_(conv.weight.double() * scale[:, None, None, None])
    conv.bias = nn.Parameter(shift.to(conv.weight.dtype))
    setattr(parent, norm_name, nn.Identity())
