"""The synthetic people whom all miniatures show, rendered once in a process."""

from __future__ import annotations

from functools import lru_cache

from urface.data.decode import encode_jpeg
from urface.data.synthetic import ShotStyle, render_face

SIZE = 112  # pixels: aligned faces, as every layout here is filled with


def people(
    count: int, shots: int, seed: int = 0, *, first: int = 0, style: ShotStyle | None = None
) -> list[list[bytes]]:
    """JPEG bytes ``[person][shot]`` of ``count`` people, 112 x 112 pixels, aligned to the template.

    Person ``first + i``, shot and seed are a face's whole address: two calls that ask for the same one
    get the same bytes, and the second does not render it. Raises UserError for a negative number.
    """
    style = style or ShotStyle()
    return [
        [_jpeg(seed, first + person, shot, style) for shot in range(shots)]
        for person in range(count)
    ]


def profiles(count: int, shots: int, seed: int = 0, *, first: int = 0) -> list[list[bytes]]:
    """As ``people``, the same faces seen from the side; shots turn to the left and to the right in turn."""
    sides = [ShotStyle(yaw=sign * 65.0) for sign in (-1, 1)]
    return [
        [_jpeg(seed, first + person, shot, sides[shot % 2]) for shot in range(shots)]
        for person in range(count)
    ]


@lru_cache(maxsize=4096)  # of about 5 KB each
def _jpeg(seed: int, identity: int, shot: int, style: ShotStyle) -> bytes:
    return encode_jpeg(render_face(seed, identity, shot, SIZE, style=style).image, quality=92)
