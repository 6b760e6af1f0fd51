"""Which image goes into which part: a pure function of the list of images and of the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from urface.data.source import FaceSource, narrow, stamp_of
from urface.types import UserError

FORMAT = "urface-parts-1"
PartFormat = Literal["parquet", "tar"]


@dataclass(frozen=True)
class Part:
    """Images of one file: ``pieces`` of sources in order, each with what its keys begin with."""

    number: int
    pieces: list[tuple[str, FaceSource]]

    def places(self) -> Iterator[tuple[str, FaceSource, int]]:
        for prefix, source in self.pieces:
            for index in range(len(source)):
                yield prefix, source, index


@dataclass(frozen=True)
class Recipe:
    """What besides the images decides what a part holds.

    model       SHA-256 of the model file
    part_size   images a part, the last may have fewer
    batch_size  images that pass through the network together, never of two parts
    """

    model: str
    part_size: int
    batch_size: int
    format: PartFormat = "parquet"

    def __post_init__(self) -> None:
        if self.part_size < 1 or self.batch_size < 1:
            raise UserError("part_size and batch_size must be at least 1")


class Plan:
    """N images in parts: part i holds images i * part_size to (i + 1) * part_size - 1 of all sources.

    ``digest`` changes with the model, the sizes, the names of the images, their order, and the size or
    time of a file that holds them. It takes one stat of every file. The names of all images are held in
    memory: some 250 bytes an image.
    """

    def __init__(self, sources: Sequence[tuple[str, FaceSource]], recipe: Recipe) -> None:
        self.recipe = recipe
        self._sources = sources
        self._ends = np.cumsum([len(source) for _, source in sources])
        self.total = int(self._ends[-1])
        self.digest = self._digest()

    def __len__(self) -> int:
        """How many parts."""
        return -(-self.total // self.recipe.part_size)

    def size(self, number: int) -> int:
        """How many images part ``number`` holds."""
        return min(self.recipe.part_size, self.total - number * self.recipe.part_size)

    def part(self, number: int) -> Part:
        """Part ``number``, which knows of its own images only: it travels to a worker."""
        first = number * self.recipe.part_size
        last = first + self.size(number)
        pieces = []
        at = int(np.searchsorted(self._ends, first, "right"))
        while first < last:
            prefix, source = self._sources[at]
            begin = int(self._ends[at]) - len(source)
            end = min(last, int(self._ends[at]))
            pieces.append((prefix, narrow(source, range(first - begin, end - begin))))
            first, at = end, at + 1
        return Part(number, pieces)

    def _digest(self) -> str:
        recipe = {"format": FORMAT, **vars(self.recipe)}
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
        for prefix, source in self._sources:
            stamp = stamp_of(source.read_bytes)
            for index, key in enumerate(source.keys):
                digest.update(_encoded(prefix + key) + b"\0")
                digest.update((stamp(index) if stamp else b"") + b"\0")
        return digest.hexdigest()

    def about(self) -> dict[str, Any]:
        """What plan.json says."""
        return {
            "format": FORMAT,
            "plan": self.digest,
            "images": self.total,
            "parts": len(self),
            "model_sha256": self.recipe.model,
            "part_size": self.recipe.part_size,
            "batch_size": self.recipe.batch_size,
            "part_format": self.recipe.format,
        }


def _encoded(key: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError:  # Parquet and JSON hold text
        raise UserError(f"{key!a}: a name that is not UTF-8: rename the file") from None
