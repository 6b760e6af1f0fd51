"""theta_A: the small network that reads attributes off a face (section B of the supplementary).

The paper gives its four layers of 64, 128, 256 and 512 kernels of 3 x 3. Ours are the stride of 2 and the
BatchNorm and ReLU after each, and the mean over what remains of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)
FEATURES = WIDTHS[-1]
SMALLEST_INPUT = 32  # a last map of 2 x 2


class AttributeReading(NamedTuple):
    """What the network says of B images: features [B, 512] and attribute logits [B, A], float32."""

    features: Tensor
    logits: Tensor


class AttributeNet(nn.Module):
    """Images [B, H, W, 3] RGB uint8 of any side from 32 on -> features and logits of A attributes.

    The sigmoid of a logit is the probability of its attribute, ``names`` in order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        layers: list[nn.Module] = []
        for before, width in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(FEATURES, len(self.names))
        # The field's convention, as buffers so that no caller can get it wrong (see models/urface.py).
        self.register_buffer("pixel_mean", torch.tensor(127.5))
        self.register_buffer("pixel_scale", torch.tensor(127.5))
        self.pixel_mean: Tensor
        self.pixel_scale: Tensor

    def forward(self, images: Tensor) -> AttributeReading:
        pixels = (images.permute(0, 3, 1, 2).float() - self.pixel_mean) / self.pixel_scale
        features = self.layers(pixels).float().mean((2, 3))
        return AttributeReading(features, self.head(features).float())


class IdentityDiscriminator(nn.Linear):
    """D_A: features [B, F] -> logits of N identities [B, N], linear in what is left of each feature when
    its mean and scale over the batch are taken off.

    So the network cannot hide a person by making the features small, and the discriminator learns at
    the same pace whatever their scale. It is used in training alone, B above 1.
    """

    def __init__(self, identities: int, features: int = FEATURES) -> None:
        super().__init__(features, identities)

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(_standardised(features), self.weight, self.bias)

    def frozen(self, features: Tensor) -> Tensor:
        """The same logits, whose gradient passes to the features and not to this discriminator."""
        return F.linear(_standardised(features), self.weight.detach(), self.bias.detach())


def _standardised(features: Tensor) -> Tensor:
    return F.batch_norm(features, None, None, training=True)
