"""From the head to the aligned crop: how it is turned, projected and aligned as an aligner would."""

from __future__ import annotations

import numpy as np
from numba import njit

from urface.template import TEMPLATE, TEMPLATE_SIZE


def rotation(yaw: float, pitch: float) -> np.ndarray:
    """[3, 3] head to camera (x right, y up, z to the viewer); first pitch, then yaw, in degrees."""
    a, b = np.deg2rad(yaw), np.deg2rad(pitch)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    return turn @ nod


def project(points: np.ndarray, distance: float) -> np.ndarray:
    """Camera points [..., 3] in mm to the image plane [..., 2], y down, mm at the head's axis."""
    scale = distance / (distance - points[..., 2])
    return np.stack([points[..., 0] * scale, -points[..., 1] * scale], axis=-1)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def place(
    points: np.ndarray,
    normals: np.ndarray,
    turn: np.ndarray,
    distance: float,
    fit: np.ndarray,
    light: np.ndarray,
    screen: np.ndarray,
    turned: np.ndarray,
    lit: np.ndarray,
) -> None:
    """Send head ``points`` and ``normals`` [V, 3] to the screen and to the lamp's view, in place.

    ``turn`` [3, 3] as rotation(); ``fit`` [2, 3] image plane to pixels; ``light`` [3, 4] camera frame to
    the lamp's. Fills ``screen`` (pixels and depth), ``turned`` normals and ``lit`` points, all [V, 3].
    """
    for v in range(points.shape[0]):
        x, y, z = points[v, 0], points[v, 1], points[v, 2]
        cx = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z
        cy = turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z
        cz = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z
        scale = distance / (distance - cz)
        px, py = cx * scale, -cy * scale
        screen[v, 0] = fit[0, 0] * px + fit[0, 1] * py + fit[0, 2]
        screen[v, 1] = fit[1, 0] * px + fit[1, 1] * py + fit[1, 2]
        screen[v, 2] = cz
        nx, ny, nz = normals[v, 0], normals[v, 1], normals[v, 2]
        for row in range(3):
            turned[v, row] = turn[row, 0] * nx + turn[row, 1] * ny + turn[row, 2] * nz
            lit[v, row] = (
                light[row, 0] * cx + light[row, 1] * cy + light[row, 2] * cz + light[row, 3]
            )


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least-squares similarity [2, 3] that takes points ``source`` [N, 2] to ``target``.

    Without reflection it has four unknowns (a, b, tx, ty) in closed form: Umeyama, PAMI 1991.
    """
    from_centre, to_centre = source.mean(0), target.mean(0)
    p, q = source - from_centre, target - to_centre
    norm = (p**2).sum()
    a = (p * q).sum() / norm
    b = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / norm
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, to_centre - turn @ from_centre])


def aligned(
    landmarks: np.ndarray, size: int, roll: float, zoom: float, shift: tuple[float, float]
) -> np.ndarray:
    """The aligner's transform [2, 3] of projected ``landmarks`` [5, 2] to a crop of ``size``.

    ``roll`` (degrees, clockwise), ``zoom`` and ``shift`` (shares of the side) are its error.
    """
    template = TEMPLATE * (size / TEMPLATE_SIZE)
    fit = similarity(landmarks, template)
    centre = template.mean(0)
    a = np.deg2rad(roll)
    error = zoom * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    moved = error @ fit
    moved[:, 2] += centre - error @ centre + np.array(shift) * size
    return moved
