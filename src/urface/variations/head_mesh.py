"""The surface that is turned: a face mesh, the rest of the head around it and the backdrop behind.

What all faces share is made once: triangles, mirror partners, and rings around the face whose shape
is that of a head with hair and ears.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.optimize import linear_sum_assignment
from scipy.spatial import ConvexHull, Delaunay
from scipy.spatial.distance import cdist

from urface.variations.head_pose import POINTS, mean_face

RING_SHARES = (0.3, 0.65, 1.0)  # of the way from the face's outline to the head's
FACE_MIDDLE = (0.0, -0.1)  # the outline is left along rays from here; in ear distances
EARS_OUT, CROWN_OUT, NECK_OUT = 0.09, 0.31, 0.06  # how far head, hair and neck go beyond the face
SQUEEZE_FROM = 0.5  # of the way from the middle of the face outwards
BEHIND = 0.12  # how much deeper than the ears' axis the head's outline lies


class Topology(NamedTuple):
    """What all meshes share; the V vertices are the face's 468, then the rings from inside to outside.

    triangles   [T, 3] uint32, counter-clockwise seen from in front
    outline     [W] the face's outermost vertices, counter-clockwise
    mirror      [V] int64, each vertex's partner on the other side
    outwards    [V] how far a vertex lies from the middle of the face, 1 on its outline and the rings
    sector      [V, 2] int64 places in ``outline`` of the two vertices between which its ray leaves
    between     [V] 0..1, where between the two
    squeeze     [V] 0..1, how far a vertex goes along when colours at the outline are taken further in
    across, before, after   [W] places in ``outline`` of the mirror partner and of the neighbours
    """

    triangles: np.ndarray
    outline: np.ndarray
    mirror: np.ndarray
    outwards: np.ndarray
    sector: np.ndarray
    between: np.ndarray
    squeeze: np.ndarray
    across: np.ndarray
    before: np.ndarray
    after: np.ndarray


@lru_cache(maxsize=1)
def depth_lack() -> np.ndarray:
    """[478] float64 ear distances: how much nearer each point lies than the detector's depth says.

    Measured where 50 synthetic people, seen from the front, were beside their own renders at 30 to 50
    degrees (bench/pose.py says how well it holds for others): the detector's faces are too flat, the
    nose, mouth and chin too far back and the temples too far in front.
    """
    lack: np.ndarray = np.load(Path(__file__).parent / "depth_lack.npy").astype(np.float64)
    lack.setflags(write=False)
    return lack


@lru_cache(maxsize=1)
def topology() -> Topology:
    """Made once per process (2 ms)."""
    plane = mean_face()[:POINTS, :2]
    outline = ConvexHull(plane).vertices.astype(np.int64)
    face = Delaunay(plane).simplices.astype(np.int32)
    a, b, c = (plane[face[:, i]] for i in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    face[area < 0] = face[area < 0][:, ::-1]
    face = face[np.abs(area) > 1e-9]
    width, rings = len(outline), len(RING_SHARES)
    ring = [outline] + [POINTS + k * width + np.arange(width) for k in range(rings)]
    strips = [_strip(inner, outer) for inner, outer in pairwise(ring)]
    mirrored = mean_face()[:POINTS] * [-1.0, 1.0, 1.0]
    partner = linear_sum_assignment(cdist(mean_face()[:POINTS], mirrored))[1]
    place = {int(vertex): i for i, vertex in enumerate(outline)}
    across = np.array([place[int(partner[vertex])] for vertex in outline])
    partners = [partner] + [POINTS + k * width + across for k in range(rings)]
    outwards, sector, between = _rays(plane, outline)
    around = np.arange(width)
    sector = np.concatenate([sector, *[np.stack([around, around], 1)] * rings])
    rise = np.clip((outwards - SQUEEZE_FROM) / (1.0 - SQUEEZE_FROM), 0.0, 1.0)
    fall = np.repeat(1.0 - np.arange(1, rings + 1) / rings, width)
    return Topology(
        triangles=np.concatenate([face, *strips]).astype(np.uint32),
        outline=outline,
        mirror=np.concatenate(partners),
        outwards=np.concatenate([outwards, np.ones(width * rings)]),
        sector=sector,
        between=np.concatenate([between, np.zeros(width * rings)]),
        squeeze=np.concatenate([rise * rise * (3.0 - 2.0 * rise), fall]),
        across=across,
        before=np.roll(around, 1),
        after=np.roll(around, -1),
    )


def _rays(plane: np.ndarray, outline: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the ray from the middle of the face through each of ``plane`` [N, 2] leaves it.

    The share of the way that the point lies at [N], the two outline vertices on either side [N, 2],
    and the place between them [N].
    """
    ray, edge = plane - FACE_MIDDLE, plane[outline] - FACE_MIDDLE
    turn = 2 * np.pi
    start = np.arctan2(edge[0, 1], edge[0, 0])
    angle = (np.arctan2(ray[:, 1], ray[:, 0]) - start) % turn
    corners = np.append((np.arctan2(edge[:, 1], edge[:, 0]) - start) % turn, turn)
    left = np.clip(np.searchsorted(corners, angle, side="right") - 1, 0, len(outline) - 1)
    sector = np.stack([left, (left + 1) % len(outline)], 1)
    between = (angle - corners[left]) / (corners[left + 1] - corners[left])
    a, b = edge[sector[:, 0]], edge[sector[:, 1]]
    # ray * s lies on the line from a to b
    across = b - a
    length = (a[:, 0] * across[:, 1] - a[:, 1] * across[:, 0]) / (
        ray[:, 0] * across[:, 1] - ray[:, 1] * across[:, 0]
    )
    outwards: np.ndarray = np.minimum(1.0 / length, 1.0)
    return outwards, sector, between


def _strip(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Triangles [2 W, 3] of the closed band between two rings of W, counter-clockwise with y up."""
    inner_next, outer_next = np.roll(inner, -1), np.roll(outer, -1)
    first = np.stack([inner, outer, outer_next], -1)
    second = np.stack([inner, outer_next, inner_next], -1)
    return np.concatenate([first, second]).astype(np.int32)


@njit(cache=True, nogil=True, error_model="numpy")
def head_rings(outline: np.ndarray) -> np.ndarray:
    """[R * W, 3]: the rest of the head around the face's ``outline`` [W, 3], in head coordinates.

    The unit is the distance between the ears, the origin lies midway between them. Upwards the
    surface is round, as a forehead goes over into a skull; downwards it goes back at once, as a jaw
    goes over into a neck.
    """
    width = outline.shape[0]
    rings = np.empty((len(RING_SHARES) * width, 3))
    for w in range(width):
        x, y = outline[w, 0] - FACE_MIDDLE[0], outline[w, 1] - FACE_MIDDLE[1]
        length = np.sqrt(x * x + y * y)
        x, y = x / length, y / length
        up, down = max(y, 0.0), max(-y, 0.0)
        reach = EARS_OUT + CROWN_OUT * up * np.sqrt(up) + NECK_OUT * down
        for r in range(len(RING_SHARES)):
            share = RING_SHARES[r]
            keep = np.sqrt(1.0 - share * share) * (1 - down) + (1.0 - share) ** 2 * down
            rings[r * width + w, 0] = outline[w, 0] + x * share * reach
            rings[r * width + w, 1] = outline[w, 1] + y * share * reach
            rings[r * width + w, 2] = outline[w, 2] * keep - BEHIND * share
    return rings
