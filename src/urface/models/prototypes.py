"""The identities' prototypes, each rank holding its own contiguous share of the classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from urface import distributed


class Prototypes(nn.Module):
    """w_j^k for this rank's S classes: [S, K, D] of unit length per sub-embedding.

    The raw weights are drawn for each class from a generator of its own, so that they do not depend on
    how many ranks there are.
    """

    def __init__(self, classes: int, sub_embeddings: int, dim: int, seed: int = 0) -> None:
        super().__init__()
        self.shard = distributed.shard_of(classes, distributed.rank(), distributed.world_size())
        self.classes = classes
        weight = torch.empty(len(self.shard), sub_embeddings, dim)
        # Blocks of classes share a generator: one each would take minutes for millions.
        for block in range(self.shard.start // BLOCK, -(-self.shard.stop // BLOCK)):
            generator = torch.Generator().manual_seed(seed * 1_000_003 + block)
            values = torch.randn(BLOCK, sub_embeddings, dim, generator=generator) * 0.01
            first = max(block * BLOCK, self.shard.start)
            last = min((block + 1) * BLOCK, self.shard.stop)
            rows = slice(first - self.shard.start, last - self.shard.start)
            weight[rows] = values[first - block * BLOCK : last - block * BLOCK]
        self.weight = nn.Parameter(weight)

    @property
    def first_class(self) -> int:
        return self.shard.start

    def forward(self) -> Tensor:
        return F.normalize(self.weight, dim=2)


BLOCK = 4096
