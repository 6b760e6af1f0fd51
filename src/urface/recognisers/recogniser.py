"""What the evaluator asks of a model, whoever made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np

Flip = Literal["none", "sum"]


@dataclass(frozen=True)
class Preprocessing:
    """How an aligned RGB uint8 face becomes a network's input: explicit, and stored with every result.

    size    side in pixels
    colour  order of the channels that the network wants
    mean, scale  input = (pixel - mean) * scale, the same for the three channels
    frame   side that the face is brought to before its centre of ``size`` is cut out; 0 means size, no cut
    """

    size: int = 112
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: float = 127.5
    scale: float = 1.0 / 127.5
    frame: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Features:
    """What a network says of B faces, before anything is normalised.

    vectors     [B, K * D] float32, as the network gives them: their length is kept
    parts       K, how many sub-embeddings the vector holds, each of which is compared on its own sphere
    confidence  [B, K] or None
    variance    [B, K] or [B, K, D] or None: a model without it has cosine scores only
    """

    vectors: np.ndarray
    parts: int = 1
    confidence: np.ndarray | None = None
    variance: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.vectors)


class Recogniser(Protocol):
    """A model ready to embed aligned faces.

    name           for tables
    digest         SHA-256 of its weights or of its file, the key of caches and part of every result
    preprocessing  what it does to pixels; None where it reads features from disk
    parts          K
    has_variance   whether likelihood scores are possible
    """

    name: str
    digest: str
    preprocessing: Preprocessing | None
    parts: int
    has_variance: bool

    def features(self, images: Sequence[np.ndarray], keys: Sequence[str]) -> Features:
        """Of aligned faces, RGB uint8 [H, W, 3] of any size, called ``keys``.

        ``images`` is empty for a model that reads features by ``keys``. A face that yields no finite
        feature, or a key that it lacks, is a row that is not finite: a failure that the evaluator counts
        (usable.py says which rows can be compared, and refuses the others for who needs all). Raises
        UserError where the model cannot be run at all.
        """
        ...

    @property
    def needs_images(self) -> bool:
        """False where features come from disk by key."""
        ...
