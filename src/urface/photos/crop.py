"""Five points to the aligned crop that networks take."""

from __future__ import annotations

import cv2
import numpy as np

from urface.template import TEMPLATE, TEMPLATE_SIZE


def alignment(points: np.ndarray) -> np.ndarray:
    """[2, 3] float64: the least-squares similarity from ``points`` [5, 2] to the template.

    Umeyama, PAMI 1991, without reflection. In complex numbers, both sets about their means p and q, it is
    z -> a z with a = sum(conj(p) q) / sum(|p|^2).
    """
    source, target = (p.astype(np.float64) @ [1, 1j] for p in (points, TEMPLATE))
    p, q = source - source.mean(), target - target.mean()
    turn = (p.conj() * q).sum() / max(float((abs(p) ** 2).sum()), 1e-12)
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def crop_face(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The aligned face [112, 112, 3] of ``photo`` (RGB uint8), cut out by its five ``points``.

    What lies outside the photo is black. A face of more than twice the template's size is first brought
    near it by averaging areas: a linear look-up in the full photo would skip pixels.
    """
    matrix = alignment(points)
    step = int(1 / np.hypot(matrix[0, 0], matrix[1, 0]) + 1e-9)
    if step >= 2:
        photo, matrix = _shrunk(photo, matrix, step)
    size = (TEMPLATE_SIZE, TEMPLATE_SIZE)
    return cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_LINEAR)


def _shrunk(photo: np.ndarray, matrix: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of ``photo`` that the crop shows, its blocks of ``step`` x ``step`` averaged; its matrix."""
    whole = np.vstack([matrix, [0, 0, 1]])
    edge = TEMPLATE_SIZE + 1.0
    corners = np.array([[-1, -1, 1], [edge, -1, 1], [-1, edge, 1], [edge, edge, 1]], float)
    seen = corners @ np.linalg.inv(whole).T
    height, width = photo.shape[:2]
    x0, y0 = np.clip(np.floor(seen[:, :2].min(0)) - step, 0, [width - 1, height - 1]).astype(int)
    x1, y1 = np.clip(np.ceil(seen[:, :2].max(0)) + step, [x0 + 1, y0 + 1], [width, height])
    part = photo[y0 : int(y1), x0 : int(x1)]
    # Whole blocks: the last row and column of them are filled up with the photo's edge.
    down, right = -part.shape[0] % step, -part.shape[1] % step
    part = cv2.copyMakeBorder(part, 0, down, 0, right, cv2.BORDER_REPLICATE)
    small = cv2.resize(
        part, (part.shape[1] // step, part.shape[0] // step), interpolation=cv2.INTER_AREA
    )
    # The centre of a small pixel i lies at step * i + (step - 1) / 2 of the part.
    middle = (step - 1) / 2
    back = np.array([[step, 0, x0 + middle], [0, step, y0 + middle], [0, 0, 1]])
    return small, (whole @ back)[:2]
