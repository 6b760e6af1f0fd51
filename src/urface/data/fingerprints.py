"""What tells images apart without a model: their bytes, their pixels, and how they look from afar."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from tqdm import tqdm

from urface.data.decode import DecodeError
from urface.data.source import FaceSource

SIDE = 32  # pixels of the thumbnail
BITS = 64
AT_ONCE = 256  # images in memory
# The lowest frequencies but that of brightness, along the diagonals: 64 places in the 32 x 32 transform.
_ORDER = sorted(((r, c) for r in range(12) for c in range(12)), key=lambda rc: (sum(rc), rc))
ROWS, COLUMNS = np.array(_ORDER[1 : BITS + 1]).T


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Of N images, 48 bytes each, so that millions fit.

    content  [N, 2] uint64, the first half of the SHA-256 of the file
    pixels   [N, 2] uint64, the same of the decoded image's shape and pixels; 0 where it cannot be decoded
    look     [N] uint64, 64 bits that survive another encoding or size (``look_of``); 0 likewise
    area     [N] int64, pixels; 0 likewise
    corrupt  place -> why it cannot be read or decoded
    """

    content: np.ndarray
    pixels: np.ndarray
    look: np.ndarray
    area: np.ndarray
    corrupt: dict[int, str]

    def __len__(self) -> int:
        return len(self.look)

    @property
    def good(self) -> np.ndarray:
        """[N] bool: it can be decoded."""
        return self.area > 0


def take_fingerprints(
    source: FaceSource, progress: bool = True, workers: int | None = None
) -> Fingerprints:
    """Read and decode every image of ``source`` once; the bar goes to standard error."""
    count = len(source)
    content, pixels = np.zeros((count, 2), np.uint64), np.zeros((count, 2), np.uint64)
    look, area = np.zeros(count, np.uint64), np.zeros(count, np.int64)
    corrupt: dict[int, str] = {}
    with ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1)) as pool:
        bar = tqdm(total=count, desc="reading", unit=" images", disable=not progress, leave=False)
        with bar:
            for start in range(0, count, AT_ONCE):
                places = range(start, min(start + AT_ONCE, count))
                for place, found in zip(places, pool.map(_of(source), places), strict=True):
                    content[place] = found[0]
                    if isinstance(found[1], str):
                        corrupt[place] = found[1]
                    else:
                        pixels[place], look[place], area[place] = found[1]
                bar.update(len(places))
    return Fingerprints(content, pixels, look, area, corrupt)


Found = tuple[np.ndarray, "tuple[np.ndarray, np.uint64, int] | str"]


class _of:
    def __init__(self, source: FaceSource) -> None:
        self.source = source

    def __call__(self, place: int) -> Found:
        """Content's hash, and the rest or why there is none."""
        key = self.source.keys[place]
        try:
            content = half_sha256(self.source.read(place))
        except DecodeError as error:
            return np.zeros(2, np.uint64), str(error).removeprefix(f"{key}: ")
        try:
            image = self.source.image(place)
        except DecodeError as error:
            return content, str(error).removeprefix(f"{key}: ")
        height, width = image.shape[:2]
        shape = np.array([height, width], "<i8").tobytes()
        return content, (half_sha256(shape, image.data), look_of(image), height * width)


def half_sha256(*parts: bytes | memoryview) -> np.ndarray:
    """[2] uint64, the first 128 bits of the SHA-256 of all parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return np.frombuffer(digest.digest()[:16], "<u8")


def thumbnail(image: np.ndarray) -> np.ndarray:
    """[32, 32] float32, the luminance of an image RGB uint8 [H, W, 3], areas averaged."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)


def look_of(image: np.ndarray) -> np.uint64:
    """64 bits: which of the lowest frequencies of the thumbnail's cosine transform lie above their median.

    The usual perceptual hash, with the frequencies taken along the diagonals. Another JPEG quality, half the
    size, a change of brightness move a few bits; two photos of one person differ in about as many as two
    people's do.
    """
    waves = cv2.dct(thumbnail(image))[ROWS, COLUMNS]
    bits = np.packbits(waves > np.median(waves))
    return bits.view("<u8")[0]


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation, -1..1, of two images' thumbnails; that of two flat ones is 1."""
    a, b = (thumbnail(image).ravel().astype(np.float64) for image in (first, second))
    a, b = a - a.mean(), b - b.mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    if length < 1e-9:
        return 1.0 if np.linalg.norm(a) + np.linalg.norm(b) < 1e-3 else 0.0
    return float(a @ b) / length


def likenesses(
    sources: tuple[FaceSource, FaceSource], pairs: np.ndarray, progress: bool = True
) -> Iterator[float]:
    """``likeness`` of pairs [P, 2] of places, the first in one source and the second in the other."""
    first_at, first = -1, np.empty(0)
    for one, other in tqdm(
        pairs.tolist(), desc="comparing", unit=" pairs", disable=not progress, leave=False
    ):
        if one != first_at:
            first_at, first = one, sources[0].image(one)
        yield likeness(first, sources[1].image(other))
