"""Readers of the images that a protocol names: as they lie, aligned by landmarks, or cut out by a box.

Classes with a call, not closures, so that worker processes can be sent them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from urface.data.decode import DecodeError, read_image
from urface.data.file_stamp import file_stamp
from urface.template import TEMPLATE, TEMPLATE_SIZE
from urface.types import UserError

SIZE = TEMPLATE_SIZE
BOX_MARGIN = 1.2  # side of the square that is cut out, in longer sides of the face's box


@dataclass(frozen=True, eq=False)
class AsTheyLie:
    """The i-th of ``paths`` under ``root``, not aligned by us."""

    root: Path
    paths: list[str]

    def __call__(self, place: int) -> np.ndarray:
        return read_path(self.root, self.paths[place])

    def stamp(self, place: int) -> bytes:
        return file_stamp(f"{self.root}/{self.paths[place]}")


@dataclass(frozen=True, eq=False)
class Warped:
    """The i-th of ``paths`` under ``root``, seen through its own ``transforms`` [N, 2, 3]."""

    root: Path
    paths: list[str]
    transforms: np.ndarray

    def __call__(self, place: int) -> np.ndarray:
        image = read_path(self.root, self.paths[place])
        # What lies outside the image is black, as in every aligned crop of this project.
        return cv2.warpAffine(image, self.transforms[place], (SIZE, SIZE), flags=cv2.INTER_LINEAR)

    def stamp(self, place: int) -> bytes:
        file = file_stamp(f"{self.root}/{self.paths[place]}")
        return file + np.ascontiguousarray(self.transforms[place]).tobytes()


def read_path(root: Path, path: str) -> np.ndarray:
    """RGB uint8 [H, W, 3]. Raises DecodeError where the file is missing, damaged, or named oddly."""
    try:
        return read_image(root / path)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise DecodeError(f"{path!r}: no name of a file") from None


def landmark_transforms(points: np.ndarray, target: np.ndarray = TEMPLATE) -> np.ndarray:
    """[N, 2, 3]: the least-squares similarities that take ``points`` [N, L, 2] to ``target`` [L, 2].

    Without reflection, in closed form (Umeyama, PAMI 1991): half a million faces in a second. The points
    of one face must not all be one point.
    """
    p = points - points.mean(axis=1, keepdims=True)
    q = target - target.mean(axis=0)
    norm = (p**2).sum(axis=(1, 2))
    a = (p * q).sum(axis=(1, 2)) / norm
    b = (p[..., 0] * q[:, 1] - p[..., 1] * q[:, 0]).sum(axis=1) / norm
    turn = np.stack([np.stack([a, -b], axis=-1), np.stack([b, a], axis=-1)], axis=1)
    shift = target.mean(axis=0) - (turn @ points.mean(axis=1)[..., None])[..., 0]
    return np.concatenate([turn, shift[..., None]], axis=2)


def box_transforms(box: np.ndarray) -> np.ndarray:
    """[N, 2, 3]: a square about the middle of each box [N, 4] (x, y, width, height), at SIZE pixels.

    Its side is BOX_MARGIN of the longer side: boxes of faces end at the brow and the chin, aligned crops
    do not.
    """
    x, y, width, height = box.T
    scale = SIZE / (BOX_MARGIN * np.maximum(width, height))
    zero = np.zeros_like(scale)
    # Pixel centres: the middle of the box goes to the middle of the crop.
    rows = [
        [scale, zero, (SIZE - 1) / 2 - scale * (x + (width - 1) / 2)],
        [zero, scale, (SIZE - 1) / 2 - scale * (y + (height - 1) / 2)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def leads_out(path: str) -> bool:
    """Whether a path from a protocol would leave the folder that it is relative to."""
    return path.startswith("/") or "\\" in path or (".." in path and ".." in path.split("/"))
