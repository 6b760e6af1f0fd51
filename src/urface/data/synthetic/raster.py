"""Triangles to pixels: a depth buffer that remembers which triangle each pixel sees, and where."""

from __future__ import annotations

import numpy as np
from numba import njit

FAR = -1e9  # depth is larger nearer


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def blend(base: np.ndarray, weights: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """``base`` [V, 3] plus the sum of ``weights`` [S] times ``fields`` [S, V, 3], float32.

    Written out because a BLAS product depends on its number of threads in the last bit, and a face
    must not; its threads also cost more than so small a product.
    """
    total = base.copy()
    for s in range(weights.shape[0]):
        weight = weights[s]
        if weight == 0.0:
            continue
        for v in range(base.shape[0]):
            for c in range(3):
                total[v, c] += weight * fields[s, v, c]
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def grid_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit vertex normals [V, 3]: the area-weighted mean of the triangles around each vertex."""
    normals = np.zeros_like(points)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = (
            points[j, 0] - points[i, 0],
            points[j, 1] - points[i, 1],
            points[j, 2] - points[i, 2],
        )
        bx, by, bz = (
            points[k, 0] - points[i, 0],
            points[k, 1] - points[i, 1],
            points[k, 2] - points[i, 2],
        )
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for v in (i, j, k):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(points.shape[0]):
        x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
        length = np.sqrt(x * x + y * y + z * z) + 1e-12
        normals[v, 0], normals[v, 1], normals[v, 2] = x / length, y / length, z / length
    return normals


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def rasterise(
    screen: np.ndarray,
    triangles: np.ndarray,
    skin_triangles: int,
    hair: np.ndarray,
    hair_start: int,
    strands: np.ndarray,
    fray: float,
    depth: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Fill ``depth`` [H, W], ``seen`` [H, W] (triangle, -1 none) and ``weights`` [H, W, 2].

    ``screen`` [V, 3] is x right, y down in pixels (centres at +0.5) and depth, larger nearer. The first
    ``skin_triangles`` are closed and seen from outside only; the rest is hair, seen from both sides,
    whose ``hair`` coordinates (azimuth / pi, t) fray its lower edge with the strand pattern.
    """
    height, width = depth.shape
    rows, columns = strands.shape
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = screen[i, 0], screen[i, 1], screen[i, 2]
        x1, y1, z1 = screen[j, 0], screen[j, 1], screen[j, 2]
        x2, y2, z2 = screen[k, 0], screen[k, 1], screen[k, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        is_hair = t >= skin_triangles
        if area == 0.0 or (area > 0.0 and not is_hair):  # y points down, so outside is clockwise
            continue
        left = max(int(np.ceil(min(x0, x1, x2) - 0.5)), 0)
        right = min(int(np.floor(max(x0, x1, x2) - 0.5)), width - 1)
        top = max(int(np.ceil(min(y0, y1, y2) - 0.5)), 0)
        bottom = min(int(np.floor(max(y0, y1, y2) - 0.5)), height - 1)
        if left > right or top > bottom:
            continue
        inverse = 1.0 / area
        frays = is_hair and max(hair[i - hair_start, 1], hair[k - hair_start, 1]) > 0.72
        for row in range(top, bottom + 1):
            py = row + 0.5
            for column in range(left, right + 1):
                px = column + 0.5
                w1 = ((px - x0) * (y2 - y0) - (x2 - x0) * (py - y0)) * inverse
                w2 = ((x1 - x0) * (py - y0) - (px - x0) * (y1 - y0)) * inverse
                w0 = 1.0 - w1 - w2
                if w0 < 0.0 or w1 < 0.0 or w2 < 0.0:
                    continue
                z = w0 * z0 + w1 * z1 + w2 * z2
                if z <= depth[row, column]:
                    continue
                if frays:
                    a, b, c = i - hair_start, j - hair_start, k - hair_start
                    azimuth = w0 * hair[a, 0] + w1 * hair[b, 0] + w2 * hair[c, 0]
                    along = w0 * hair[a, 1] + w1 * hair[b, 1] + w2 * hair[c, 1]
                    u = int((azimuth + 1.0) * 0.5 * 3.0 * columns) % columns
                    v = int(along * (rows - 1))
                    if along > 1.0 - fray * strands[v, u]:
                        continue
                depth[row, column] = z
                seen[row, column] = t
                weights[row, column, 0] = w1
                weights[row, column, 1] = w2


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def shadow_map(light_points: np.ndarray, triangles: np.ndarray, depth: np.ndarray) -> None:
    """Fill ``depth`` [N, N] with the nearest surface seen from the light; points are in its pixels.

    Only triangles that face the light write: half the work, and the back of a closed surface can
    shade nothing that its front does not.
    """
    size = depth.shape[0]
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = light_points[i, 0], light_points[i, 1], light_points[i, 2]
        x1, y1, z1 = light_points[j, 0], light_points[j, 1], light_points[j, 2]
        x2, y2, z2 = light_points[k, 0], light_points[k, 1], light_points[k, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= 0.0:
            continue
        left = max(int(np.ceil(min(x0, x1, x2) - 0.5)), 0)
        right = min(int(np.floor(max(x0, x1, x2) - 0.5)), size - 1)
        top = max(int(np.ceil(min(y0, y1, y2) - 0.5)), 0)
        bottom = min(int(np.floor(max(y0, y1, y2) - 0.5)), size - 1)
        inverse = 1.0 / area
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                px, py = column + 0.5, row + 0.5
                w1 = ((px - x0) * (y2 - y0) - (x2 - x0) * (py - y0)) * inverse
                w2 = ((x1 - x0) * (py - y0) - (px - x0) * (y1 - y0)) * inverse
                w0 = 1.0 - w1 - w2
                if w0 >= 0.0 and w1 >= 0.0 and w2 >= 0.0:
                    z = w0 * z0 + w1 * z1 + w2 * z2
                    if z > depth[row, column]:
                        depth[row, column] = z
