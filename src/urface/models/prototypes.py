"""The identities' prototypes, each rank holding its own contiguous share of the classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from urface import distributed


class Prototypes(nn.Module):
    """w_j^k for this rank's S classes: [S, K, D] of unit length per sub-embedding.

    The raw weights are drawn for each class from a generator of its own, so that they do not depend on
    how many ranks there are. ``stored`` is `objective.prototypes`: fp32, bf16 or bf16_master.
    """

    def __init__(
        self,
        classes: int,
        sub_embeddings: int,
        dim: int,
        seed: int = 0,
        stored: str = "fp32",
    ) -> None:
        super().__init__()
        self.shard = distributed.shard_of(classes, distributed.rank(), distributed.world_size())
        self.classes, self.seed, self.stored = classes, seed, stored
        dtype = torch.float32 if stored == "fp32" else torch.bfloat16
        weight = torch.empty(len(self.shard), sub_embeddings, dim, dtype=dtype)
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
        """All of this rank's prototypes: a second copy, which training does without."""
        return F.normalize(self.weight.float(), dim=2)

    def sampled(self, labels_B: Tensor, share: float, step: int) -> Tensor | None:
        """Rows of this rank that take part in ``step``: ``share`` of them, and the classes of ``labels_B``.

        Ascending int64; None where ``share`` is 1 and all take part. Each class is in or out by a hash of
        seed, step and class: the same whatever the number of ranks and wherever a run was resumed. So the
        number drawn varies as of independent draws, by sqrt(share (1 - share) S).
        """
        if share == 1:
            return None
        classes = torch.arange(self.shard.start, self.shard.stop, device=labels_B.device)
        drawn = hashed(classes, self.seed, step) < share
        local = labels_B - self.shard.start
        drawn[local[(local >= 0) & (local < len(self.shard))]] = True
        return torch.nonzero(drawn).squeeze(1)


def hashed(classes_S: Tensor, seed: int, step: int) -> Tensor:
    """A number of 0..1 (float64) for each class, as if drawn for this seed and step.

    The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), once for the seed, the step and the
    class each; torch's int64 wraps around as uint64 does.
    """
    bits = torch.zeros((), dtype=torch.int64, device=classes_S.device)
    for part in (seed, step, classes_S):
        bits = _mixed(bits + _step_of(part))
    return (bits >> 11 & (1 << 53) - 1).double() / (1 << 53)


def _step_of(part: int | Tensor) -> int | Tensor:
    """(part + 1) times the golden ratio of 2^64, modulo 2^64."""
    if isinstance(part, Tensor):
        return (part + 1) * _signed(GOLDEN)
    return _signed((part + 1) * GOLDEN)


def _mixed(bits: Tensor) -> Tensor:
    """Logical shifts, which int64 has not, are arithmetic ones with the sign's copies masked off."""
    bits = (bits ^ (bits >> 30 & (1 << 34) - 1)) * _signed(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> 27 & (1 << 37) - 1)) * _signed(0x94D049BB133111EB)
    return bits ^ (bits >> 31 & (1 << 33) - 1)


def _signed(value: int) -> int:
    """The int64 of the same 64 bits."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


BLOCK = 4096
GOLDEN = 0x9E3779B97F4A7C15
