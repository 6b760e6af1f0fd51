"""The improved residual network of ArcFace (Deng et al., CVPR 2019), up to its last convolution.

Parameter names are InsightFace's (`conv1, bn1, prelu, layer1.0.bn1, ..., bn2`), so that the field's
weights load as they are; `models/insightface.py` adds the `fc` and `features` that end their files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from urface.models.prelu import PReLU

# Residual blocks of each of the four stages. `tiny` and `small` are ours: narrow, for training on a CPU.
DEPTHS: dict[str, tuple[int, int, int, int]] = {
    "tiny": (2, 2, 3, 2),
    "small": (2, 2, 3, 2),
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
    "iresnet200": (6, 26, 60, 6),
}
WIDTHS: dict[str, tuple[int, int, int, int]] = {
    "tiny": (16, 32, 64, 128),
    "small": (16, 32, 64, 128),
}
# Halving at the first convolution instead of the first stage leaves the full resolution, where a CPU
# without bfloat16 spends more than half of a step, to a single layer.
STEM_STRIDES = {"tiny": 2}
STANDARD_WIDTHS = (64, 128, 256, 512)
SIZES = range(32, 129)


class Block(nn.Module):
    """BN, 3x3, BN, PReLU, 3x3 with the stride, BN, and the shortcut added; no activation after."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.prelu = PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.recompute = False
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.recompute and self.training and torch.is_grad_enabled():
            # Nothing in a block is drawn at random, so no generator's state has to be kept.
            return checkpoint(
                self.computed,
                x,
                use_reentrant=False,
                preserve_rng_state=False,
                context_fn=lambda: (nullcontext(), statistics_kept(self)),
            )
        return self.computed(x)

    def computed(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(x)) + shortcut


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Inside the block BatchNorm computes as in training, but its running statistics learn nothing.

    They are still handed to the kernel, with a momentum of 0: without them it would keep other tensors
    than the first time, which torch's checkpoint refuses.
    """
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked.sub_(1)


def recompute_blocks(module: nn.Module) -> None:
    """Have each residual block keep its input alone and compute itself again in the backward pass."""
    for block in module.modules():
        if isinstance(block, Block):
            block.recompute = True


class IResNet(nn.Module):
    """Normalised pixels [B, 3, H, W] -> the flattened last feature map [B, out_features].

    depths, widths  blocks and channels of the four stages; each stage begins with a stride of 2
    input_size      H = W, 32 to 128 (a map of ceil(size / 16) squared remains: 7 x 7 at 112)
    dropout         share of the flattened map that is dropped in training
    stem_stride     1 as in ArcFace, or 2: the first convolution halves the size and the first stage not
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int] = STANDARD_WIDTHS,
        input_size: int = 112,
        dropout: float = 0.0,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        if input_size not in SIZES:
            raise ValueError(f"input_size must be from 32 to 128, got {input_size}")
        self.input_size = input_size
        self.conv1 = nn.Conv2d(3, widths[0], 3, stride=stem_stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.prelu = PReLU(widths[0])
        channels = [widths[0], *widths]
        stages = []
        for number, depth in enumerate(depths):
            stride = 1 if number == 0 and stem_stride == 2 else 2
            first = Block(channels[number], channels[number + 1], stride)
            rest = [Block(channels[number + 1], channels[number + 1], 1) for _ in range(depth - 1)]
            stages.append(nn.Sequential(first, *rest))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(widths[-1])
        self.dropout = nn.Dropout(dropout)
        self.out_features = widths[-1] * (-(-input_size // 16)) ** 2
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # The standard deviation InsightFace trains with; BN rescales what it feeds.
                nn.init.normal_(module.weight, 0.0, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        # Flattened in NCHW order, whatever the memory format: the order their `fc` was trained on.
        return self.dropout(torch.flatten(self.bn2(x), 1))


def iresnet(name: str, input_size: int = 112, dropout: float = 0.0) -> IResNet:
    """The trunk called ``name``: one of the keys of ``DEPTHS``."""
    return IResNet(
        DEPTHS[name],
        WIDTHS.get(name, STANDARD_WIDTHS),
        input_size,
        dropout,
        STEM_STRIDES.get(name, 1),
    )
