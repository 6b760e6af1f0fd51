"""Decoded images at one size, kept in memory when they fit; the undecodable counted and stepped over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from urface import distributed
from urface.data.corrupt import CorruptImages
from urface.data.decode import DecodeError, resize_image
from urface.data.meshes import Meshes
from urface.data.source import FaceSource
from urface.types import UserError

CHUNK = 256


class Frames:
    """The images of ``source`` as RGB uint8 [size, size, 3] frames; safe to use from threads.

    An image that cannot be decoded is replaced by the next one that can, in the order of the source,
    with that one's label: a rule that depends on nothing but the data, so that every worker, rank and
    resumed run steps over it alike. ``corrupt`` names them; too many raise UserError (``CorruptImages``, to
    which ``corrupt_share`` and ``corrupt_log`` go). ``meshes`` are those of the images, for
    pose augmentation.
    """

    def __init__(
        self,
        source: FaceSource,
        size: int,
        corrupt_share: float = 0.0,
        cache_gigabytes: float = 0.0,
        progress: bool = True,
        meshes: Meshes | None = None,
        corrupt_log: Path | None = None,
    ) -> None:
        self.source = source
        self.size = size
        self.meshes = meshes
        self._corrupt = CorruptImages(source, corrupt_share, corrupt_log)
        self._cache: np.ndarray | None = None
        if len(source) * size * size * 3 <= cache_gigabytes * 1e9:
            self._fill(progress)

    def _fill(self, progress: bool) -> None:
        total = len(self.source)
        cache = np.empty((total, self.size, self.size, 3), np.uint8)
        bad = np.zeros(total, bool)

        def decode(first: int) -> int:
            last = min(first + CHUNK, total)
            for index in range(first, last):
                frame = self._decode(index)
                bad[index] = frame is None
                if frame is not None:
                    cache[index] = frame
            return last - first

        bar = tqdm(total=total, desc="decoding", unit=" faces", disable=not progress, leave=False)
        with bar, ThreadPoolExecutor(2) as pool:
            for done in pool.map(decode, range(0, total, CHUNK)):
                bar.update(done)
        self._bad = bad
        self._cache = cache

    def _decode(self, index: int) -> np.ndarray | None:
        try:
            return resize_image(self.source.image(index), self.size)
        except DecodeError as error:
            self._corrupt.add(index, error)
            return None

    @property
    def corrupt(self) -> dict[str, str]:
        """The images met so far that cannot be decoded: key -> reason."""
        return self._corrupt.found

    def restore_corrupt(self, known: dict[str, str]) -> None:
        """Take ``known`` as met: what `join_corrupt` gave in an earlier life of this run."""
        self._corrupt.restore(known)

    def join_corrupt(self) -> dict[str, str]:
        """The corrupt images that any rank met, which all then know, by key; every rank calls this."""
        for known in distributed.gather_objects(self._corrupt.known()):
            self._corrupt.restore(known)
        return dict(sorted(self._corrupt.known().items()))

    def get(self, index: int) -> tuple[np.ndarray, int]:
        """The frame at ``index`` and where it came from: ``index``, or the next that can be decoded."""
        total = len(self.source)
        for step in range(total):
            place = (index + step) % total
            if self._cache is not None:
                if not self._bad[place]:
                    return self._cache[place], place
                continue
            if self.source.keys[place] in self.corrupt:
                continue
            frame = self._decode(place)
            if frame is not None:
                return frame, place
        raise UserError(f"no image of {self.source.name} can be decoded")
