"""What a recogniser said of a benchmark's images: block by block, never all of it in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from urface.recognisers.recogniser import Features


class Block(NamedTuple):
    """Features of the n images from place ``first`` on; rows of failed ones hold zeros."""

    first: int
    features: Features


@dataclass(frozen=True, eq=False)
class Embedded:
    """N images as features.

    ok        [N] bool, False for a failure to acquire
    failures  place -> reason, for every image that is not ok
    parts     K
    blocks    -> the features in the order of the images
    data      SHA-256 of what was embedded: see ``covers``
    covers    what ``data`` was taken of, in words, for reports
    """

    ok: np.ndarray
    failures: dict[int, str]
    parts: int
    blocks: Callable[[], Iterator[Block]]
    data: str
    covers: str

    def __len__(self) -> int:
        return len(self.ok)
