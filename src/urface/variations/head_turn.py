"""Where every vertex of a head lies in its picture, and where once the head is turned."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from urface.template import TEMPLATE, TEMPLATE_SIZE
from urface.variations.head_mesh import depth_lack, head_rings, topology
from urface.variations.head_pose import EARS, FIVE, POINTS

DEPTH = 1.05  # of the detector's depth: at this the five points turn as those of true renders do


class Turned(NamedTuple):
    """The V vertices of a head, those of the face first.

    source   [V, 3] float64 before the turn, in pixels of one size: x right, y up, z towards the viewer
    pixels   [V, 2] float64 where they lie in the picture: x right, y down
    across   [V] float64 ear distances from the head's middle to its left side as it looks at us
    screen   [V, 3] float32 after the turn in pixels of half the size: x right, y down, z as source
    unit     pixels between the ears
    """

    source: np.ndarray
    pixels: np.ndarray
    across: np.ndarray
    screen: np.ndarray
    unit: float


def turn_head(
    mesh: np.ndarray, aspect: float, width: int, before: np.ndarray, after: np.ndarray
) -> Turned:
    """``mesh`` [478, 3] in a picture of ``width`` pixels, with rings, from rotation to rotation [3, 3].

    The head turns about its middle; then its five points are brought to where the data set's aligner
    would have brought them.
    """
    vertices = len(topology().mirror)
    source, pixels = np.empty((vertices, 3)), np.empty((vertices, 2))
    across, screen = np.empty(vertices), np.empty((vertices, 3), np.float32)
    unit = _turn(
        np.ascontiguousarray(mesh, np.float64), float(aspect), before, after, depth_lack(),
        topology().outline, TEMPLATE * (width / TEMPLATE_SIZE), source, pixels, across, screen,
    )  # fmt: skip
    return Turned(source, pixels, across, screen, unit)


@njit(cache=True, nogil=True, error_model="numpy")
def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[3, 3]: the least-squares similarity that takes points ``source`` [N, 2] to ``target``.

    Without reflection it has four unknowns in closed form: Umeyama, PAMI 1991.
    """
    count = source.shape[0]
    px = py = qx = qy = 0.0
    for n in range(count):
        px, py = px + source[n, 0] / count, py + source[n, 1] / count
        qx, qy = qx + target[n, 0] / count, qy + target[n, 1] / count
    norm = a = b = 0.0
    for n in range(count):
        x, y = source[n, 0] - px, source[n, 1] - py
        u, v = target[n, 0] - qx, target[n, 1] - qy
        norm += x * x + y * y
        a += x * u + y * v
        b += x * v - y * u
    a, b = a / norm, b / norm
    matrix = np.zeros((3, 3))
    matrix[0, 0], matrix[0, 1], matrix[0, 2] = a, -b, qx - (a * px - b * py)
    matrix[1, 0], matrix[1, 1], matrix[1, 2] = b, a, qy - (b * px + a * py)
    matrix[2, 2] = 1.0
    return matrix


@njit(cache=True, nogil=True, error_model="numpy")
def _turn(
    mesh: np.ndarray,
    aspect: float,
    before: np.ndarray,
    after: np.ndarray,
    lack: np.ndarray,
    outline: np.ndarray,
    template: np.ndarray,
    source: np.ndarray,
    pixels: np.ndarray,
    across: np.ndarray,
    screen: np.ndarray,
) -> float:
    """Fill the arrays of ``Turned``; its unit."""
    points, width = mesh.shape[0], outline.shape[0]
    vertices = source.shape[0]
    camera = np.empty((points, 3))
    for v in range(points):
        camera[v, 0] = mesh[v, 0]
        camera[v, 1] = -mesh[v, 1] * aspect
        camera[v, 2] = -mesh[v, 2] * DEPTH
    origin = (camera[EARS[0]] + camera[EARS[1]]) / 2
    square = 0.0
    for c in range(3):
        square += (camera[EARS[1], c] - camera[EARS[0], c]) ** 2
    unit = np.sqrt(square)
    head = np.empty((points, 3))
    for v in range(points):
        for c in range(3):
            total = 0.0
            for q in range(3):
                total += (camera[v, q] - origin[q]) * before[q, c]
            head[v, c] = total / unit
        head[v, 2] += lack[v]
    whole = np.empty((vertices, 3))
    whole[:POINTS] = head[:POINTS]
    edge = np.empty((width, 3))
    for w in range(width):
        edge[w] = head[outline[w]]
    whole[POINTS:] = head_rings(edge)

    # What the aligner would do to the turned head, less what it did to this one: an image comes back
    # aligned as its data set is, with the same error. As complex numbers: z -> a z + b.
    five, five_turned = np.empty((len(FIVE), 2)), np.empty((len(FIVE), 2))
    for n in range(len(FIVE)):
        v = FIVE[n]
        five[n, 0], five[n, 1] = camera[v, 0], -camera[v, 1]
        for c in range(2):
            total = 0.0
            for q in range(3):
                total += head[v, q] * after[c, q] * unit
            five_turned[n, c] = total if c == 0 else -total
    aligned, wanted = similarity(five, template), similarity(five_turned, template)
    once = complex(aligned[0, 0], aligned[1, 0])
    scale = complex(wanted[0, 0], wanted[1, 0]) / once
    shift = complex(wanted[0, 2] - aligned[0, 2], wanted[1, 2] - aligned[1, 2]) / once

    for v in range(vertices):
        across[v] = whole[v, 0]
        x = y = z = 0.0
        for q in range(3):
            x += whole[v, q] * after[0, q] * unit
            y += whole[v, q] * after[1, q] * unit
            z += whole[v, q] * after[2, q] * unit
            total = 0.0
            for p in range(3):
                total += whole[v, p] * before[q, p]
            source[v, q] = total * unit + origin[q]
        pixels[v, 0], pixels[v, 1] = source[v, 0], -source[v, 1] / aspect
        place = scale * complex(x, -y) + shift
        screen[v, 0], screen[v, 1] = 2 * place.real, 2 * place.imag / aspect
        screen[v, 2] = z
    return unit
