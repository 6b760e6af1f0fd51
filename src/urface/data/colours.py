"""Sets whose packer stored blue where red belongs: noticed by the colour of skin, put right on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from urface.data.decode import DecodeError, decode_image, encode_png
from urface.data.source import FaceSource

SAMPLE = 200
FEWEST = 20  # coloured images without which nothing is said
GREY = 3.0  # levels: below this difference of the mean red and blue an image has no say
SWAPPED_SHARE = 0.2


class ColourCheck(NamedTuple):
    """Of ``seen`` decodable images ``coloured`` are not grey, and ``reddish`` of these show more red
    than blue in the middle, as skin of every tone does."""

    seen: int
    coloured: int
    reddish: int

    @property
    def looks_swapped(self) -> bool:
        """Whether hardly any face is reddish; False where too few images are coloured to tell."""
        return self.coloured >= FEWEST and self.reddish < SWAPPED_SHARE * self.coloured


def check_colours(images: int, image: Callable[[int], np.ndarray]) -> ColourCheck:
    """Look at up to 200 of ``images``, evenly spread; ``image(i)`` is RGB uint8 [H, W, 3].

    Those that cannot be decoded are left out. Light of any colour moves single images, so only the share
    over many is telling.
    """
    seen = coloured = reddish = 0
    for place in np.unique(np.linspace(0, images - 1, min(images, SAMPLE)).astype(int)):
        try:
            pixels = image(int(place))
        except DecodeError:
            continue
        height, width = pixels.shape[:2]
        rows, columns = (slice(side // 4, side - side // 4) for side in (height, width))
        middle = pixels[rows, columns]
        red, _, blue = middle.reshape(-1, 3).mean(0)
        seen += 1
        if abs(red - blue) >= GREY:
            coloured += 1
            reddish += bool(red > blue)
    return ColourCheck(seen, coloured, reddish)


@dataclass(frozen=True)
class SwappedReader:
    """Reads image ``i`` of another reader with red and blue exchanged, as PNG: no pixel is lost twice."""

    read: Callable[[int], bytes]

    def __call__(self, index: int) -> bytes:
        return swap_colours(self.read(index))


def swap_colours(data: bytes) -> bytes:
    """An encoded image with red and blue exchanged, as PNG.

    One that cannot be decoded stays as it is: whoever decodes it next knows its name and says so.
    """
    try:
        pixels = decode_image(data)
    except DecodeError:
        return data
    return encode_png(np.ascontiguousarray(pixels[..., ::-1]))


def with_swapped_colours(source: FaceSource) -> FaceSource:
    """``source`` with red and blue of every image exchanged; names stay, so their ending may not fit."""
    return replace(source, read_bytes=SwappedReader(source.read_bytes))
