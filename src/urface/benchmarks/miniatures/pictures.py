"""Aligned faces put into larger pictures, and where they are in them: for layouts that are not aligned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from urface.data.decode import decode_image, encode_jpeg
from urface.template import TEMPLATE_SIZE

WIDTH, HEIGHT = 160, 176
SCALES = (0.85, 1.15)  # of the aligned face in the picture
GREY = 90


def picture_of(faces: Sequence[bytes], rng: np.random.Generator) -> tuple[bytes, np.ndarray]:
    """A JPEG of aligned ``faces`` side by side, and [F, 3] of each: its scale, and x and y of its corner.

    A pixel (u, v) of the aligned face is at (scale u + x, scale v + y) of the picture.
    """
    canvas = np.full((HEIGHT, WIDTH * len(faces), 3), GREY, np.uint8)
    placed = np.empty((len(faces), 3))
    for number, face in enumerate(faces):
        scale = rng.uniform(*SCALES)
        room = (WIDTH - scale * TEMPLATE_SIZE, HEIGHT - scale * TEMPLATE_SIZE)
        x, y = WIDTH * number + rng.uniform(2, room[0] - 2), rng.uniform(2, room[1] - 2)
        placed[number] = scale, x, y
        cv2.warpAffine(
            decode_image(face),
            np.array([[scale, 0, x], [0, scale, y]]),
            (canvas.shape[1], canvas.shape[0]),
            dst=canvas,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
    return encode_jpeg(canvas), placed


def points_in(placed: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[P, 2]: where ``points`` [P, 2] of the aligned face are in the picture; ``placed`` is its row."""
    return placed[0] * points + placed[1:]


def save(path: Path, data: bytes | str) -> None:
    """A file below a folder that is renamed when all of it is there: no file needs care of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def lines(rows: Sequence[Sequence[object]], between: str = ",") -> str:
    """Rows as text, a line each."""
    return "".join(between.join(map(str, row)) + "\n" for row in rows)
