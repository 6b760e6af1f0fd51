"""Several data sets as one: where two name a person alike, it is one person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from urface.data.source import FaceSource, SelectedReader, build_source, narrowed, stamp_of
from urface.types import UserError


@dataclass(frozen=True)
class JoinedReader:
    """Reads image ``i`` from the reader whose range of places holds it; ``starts`` are their beginnings."""

    readers: Sequence[Callable[[int], bytes]]
    starts: np.ndarray

    def part(self, index: int) -> tuple[int, int]:
        """The number of the reader, and the place there."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return part, index - int(self.starts[part])

    def __call__(self, index: int) -> bytes:
        part, place = self.part(index)
        return self.readers[part](place)

    def stamp(self, index: int) -> bytes:
        part, place = self.part(index)
        found = stamp_of(self.readers[part])
        return found(place) if found else b""

    def narrowed(self, indices: np.ndarray) -> SelectedReader:
        parts = np.searchsorted(self.starts, indices, side="right") - 1
        places = np.empty(len(indices), np.int64)
        readers: list[Callable[[int], bytes]] = []
        starts, start = [], 0
        for part in np.unique(parts).tolist():
            own = np.flatnonzero(parts == part)
            readers.append(narrowed(self.readers[part], indices[own] - self.starts[part]))
            places[own] = start + np.arange(len(own))
            starts.append(start)
            start += len(own)
        return SelectedReader(JoinedReader(readers, np.array(starts, np.int64)), places)


def join(sources: Sequence[FaceSource]) -> FaceSource:
    """The images of all ``sources``, people of the same name together, keys ascending.

    Variation columns of the same name are one column, NaN for the images of a set that lacks it. Raises
    UserError where two sets hold an image of the same key: it would be trained on twice.
    """
    if len(sources) == 1:
        return sources[0]
    where: dict[str, str] = {}
    for source in sources:
        for key in source.keys:
            if key in where:
                raise UserError(
                    f"{key} is in both {where[key]} and {source.name}: leave out or rename one"
                )
            where[key] = source.name
    names = tuple(dict.fromkeys(name for source in sources for name in source.variation_names))
    variations = np.full((len(where), len(names)), np.nan, np.float32)
    celeba_frame = np.zeros(len(where), bool)
    starts = np.cumsum([0, *(len(source) for source in sources[:-1])])
    for start, source in zip(starts, sources, strict=True):
        part = slice(start, start + len(source))
        columns = [names.index(name) for name in source.variation_names]
        variations[part, columns] = source.variations
        if source.celeba_frame is not None:
            celeba_frame[part] = source.celeba_frame
    return build_source(
        ", ".join(source.name for source in sources),
        list(where),
        [source.identities[label] for source in sources for label in source.labels],
        JoinedReader([source.read_bytes for source in sources], starts),
        names,
        variations,
        celeba_frame if celeba_frame.any() else None,
    )


def with_equal_digits(sources: Sequence[FaceSource]) -> list[FaceSource]:
    """Shards of one set whose people are numbers, with as many digits in all of them.

    A shard sees only its own people: one writes person 5 as "5", another, with a person 10, as "05". Both
    are one person, also within a shard; UserError where that makes two images one. One source stays as it is.
    """
    if len(sources) == 1:
        return list(sources)
    names = [name for source in sources for name in source.identities]
    wide = max(map(len, names))
    if not all(map(str.isdecimal, names)) or all(len(name) == wide for name in names):
        return list(sources)
    padded = []
    for source in sources:
        identities = [name.zfill(wide) for name in source.identities]
        keys = [
            key.replace(f"{source.identities[label]}/", f"{identities[label]}/", 1)
            if key.startswith(f"{source.identities[label]}/")
            else key
            for key, label in zip(source.keys, source.labels.tolist(), strict=True)
        ]
        padded.append(
            build_source(
                source.name,
                keys,
                [identities[label] for label in source.labels],
                source.read_bytes,
                source.variation_names,
                source.variations,
                source.celeba_frame,
            )
        )
    return padded
