"""Triangles with a picture on them to pixels: the inner loops of pose augmentation."""

from __future__ import annotations

import numpy as np
from numba import njit

from urface.variations.enlarge import Number, colour

FAR = np.float32(-1e9)  # depth is larger nearer
# Columns of a texture: where in the picture a vertex has its colour (0, 1: x, y), where the mirrored
# half of the face has it (2, 3), the mirrored colour's share 0..1, the gain on it, and whether the
# vertex is there (1) or the backdrop shows through (0).
SHARE, GAIN, THERE = 4, 5, 6
# Image pixels of depth between four neighbours, half a pixel apart: beyond, an edge runs between them.
ONE_SURFACE = np.float32(3.0)
SLIVER = np.float32(1e-3)  # twice the area in square pixels below which a triangle is passed over
OVERLAP = np.float32(1e-3)  # pixels by which rounding must not tear neighbours apart


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def facing(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[V] float32 cosine between each vertex's normal and the line of sight; 0 where there is none.

    ``points`` [V, 3] with y up, ``triangles`` [T, 3] counter-clockwise where seen from in front.
    """
    normals = np.zeros((points.shape[0], 3))
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax = points[j, 0] - points[i, 0]
        ay = points[j, 1] - points[i, 1]
        az = points[j, 2] - points[i, 2]
        bx = points[k, 0] - points[i, 0]
        by = points[k, 1] - points[i, 1]
        bz = points[k, 2] - points[i, 2]
        for v in (i, j, k):
            normals[v, 0] += ay * bz - az * by
            normals[v, 1] += az * bx - ax * bz
            normals[v, 2] += ax * by - ay * bx
    cosine = np.zeros(points.shape[0], np.float32)
    for v in range(points.shape[0]):
        x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
        cosine[v] = z / (np.sqrt(x * x + y * y + z * z) + 1e-12)
    return cosine


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def rasterise(
    screen: np.ndarray,
    triangles: np.ndarray,
    depth: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Fill ``depth`` [H, W], ``seen`` [H, W] (triangle, -1 none) and ``weights`` [T, 6] of those seen.

    ``screen`` [V, 3] float32: x right, y down in pixels with centres at +0.5, and depth, larger nearer.
    Triangles that are turned away are left out. The weights of a triangle's second and third vertex at
    (x, y) are a (x - X) + b (y - Y) and c (x - X) + d (y - Y): X, Y, a, b, c, d are its row.
    """
    height, width = depth.shape
    depth[:] = FAR
    seen[:] = -1
    half, zero, one, none = np.float32(0.5), np.float32(0.0), np.float32(1.0), np.float32(1e9)
    from_edge, to_edge = np.empty(3, np.float32), np.empty(3, np.float32)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = screen[i, 0], screen[i, 1], screen[i, 2]
        x1, y1, z1 = screen[j, 0] - x0, screen[j, 1] - y0, screen[j, 2] - z0
        x2, y2, z2 = screen[k, 0] - x0, screen[k, 1] - y0, screen[k, 2] - z0
        area = x1 * y2 - x2 * y1
        if area >= -SLIVER:  # y points down, so the front is clockwise
            continue
        left = max(np.ceil(x0 + min(zero, x1, x2) - half), zero)
        right = min(np.floor(x0 + max(zero, x1, x2) - half), np.float32(width - 1))
        top = int(max(np.ceil(y0 + min(zero, y1, y2) - half), zero))
        bottom = int(min(np.floor(y0 + max(zero, y1, y2) - half), np.float32(height - 1)))
        if left > right or top > bottom:
            continue
        inverse = one / area
        a, b, c, d = y2 * inverse, -x2 * inverse, -y1 * inverse, x1 * inverse
        weights[t, 0], weights[t, 1] = x0, y0
        weights[t, 2], weights[t, 3], weights[t, 4], weights[t, 5] = a, b, c, d
        z_right, z_down = a * z1 + c * z2, b * z1 + d * z2
        # Each edge bounds a row from one side, x >= or <= start + slope y, both from the first vertex.
        start, slope = from_edge, to_edge
        start[0], slope[0] = zero, -b / a
        start[1], slope[1] = zero, -d / c
        start[2], slope[2] = one / (a + c), -(b + d) / (a + c)
        signs = (a, c, -(a + c))
        for row in range(top, bottom + 1):
            y = np.float32(row) + half - y0
            low, high = -none, none
            for edge in range(3):
                bound = start[edge] + slope[edge] * y
                if signs[edge] > zero:
                    low = max(low, bound)
                elif signs[edge] < zero:
                    high = min(high, bound)
            shift = x0 - half
            first = int(max(left, np.ceil(low + shift - OVERLAP)))
            last = int(min(right, np.floor(high + shift + OVERLAP)))
            z = z0 + y * z_down + (np.float32(first) - shift) * z_right
            r = np.uint32(row)
            for column in range(first, last + 1):
                at = np.uint32(column)
                if z > depth[r, at]:
                    depth[r, at] = z
                    seen[r, at] = t
                z += z_right


# In place for the reason given at ``enlarge.colour``.
@njit(inline="always")
def _place(
    x: Number,
    y: Number,
    t: Number,
    weights: np.ndarray,
    triangles: np.ndarray,
    texture: np.ndarray,
) -> tuple[bool, Number, Number, Number, Number, Number, Number]:
    """Whether anything is there on triangle ``t`` at (x, y), and its texture but for THERE."""
    zero = np.float32(0.0)
    i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    x, y = x - weights[t, 0], y - weights[t, 1]
    w1 = x * weights[t, 2] + y * weights[t, 3]
    w2 = x * weights[t, 4] + y * weights[t, 5]
    w0 = np.float32(1.0) - w1 - w2
    there = w0 * texture[i, THERE] + w1 * texture[j, THERE] + w2 * texture[k, THERE]
    u = w0 * texture[i, 0] + w1 * texture[j, 0] + w2 * texture[k, 0]
    v = w0 * texture[i, 1] + w1 * texture[j, 1] + w2 * texture[k, 1]
    share = w0 * texture[i, SHARE] + w1 * texture[j, SHARE] + w2 * texture[k, SHARE]
    mirrored_u, mirrored_v, gain = zero, zero, zero
    if share > zero:
        mirrored_u = w0 * texture[i, 2] + w1 * texture[j, 2] + w2 * texture[k, 2]
        mirrored_v = w0 * texture[i, 3] + w1 * texture[j, 3] + w2 * texture[k, 3]
        gain = w0 * texture[i, GAIN] + w1 * texture[j, GAIN] + w2 * texture[k, GAIN]
    return there >= np.float32(0.5), u, v, mirrored_u, mirrored_v, share, gain


@njit(inline="always")
def _shown(
    picture: np.ndarray,
    u: Number,
    v: Number,
    mirrored_u: Number,
    mirrored_v: Number,
    share: Number,
    gain: Number,
) -> tuple[Number, Number, Number]:
    """The colour that a texture makes of the picture."""
    red, green, blue = colour(picture, u, v)
    if share > np.float32(0.0):
        most = np.float32(255.0)
        r, g, b = colour(picture, mirrored_u, mirrored_v)
        red += share * (min(most, r * gain) - red)
        green += share * (min(most, g * gain) - green)
        blue += share * (min(most, b * gain) - blue)
    return red, green, blue


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def paint(
    picture: np.ndarray,
    backdrop: np.ndarray,
    depth: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
    triangles: np.ndarray,
    texture: np.ndarray,
    image: np.ndarray,
) -> None:
    """Fill ``image`` [H, W, 3] uint8 from buffers of twice the side: each pixel is the mean of four.

    ``texture`` [V, 7] float32, columns by the names above; where a vertex is not there the backdrop
    [H, W, 3] uint8 shows. Four neighbours on one surface take one sample of the picture at the middle
    of two opposite ones: that is as sharp, for the ``picture``, as ``enlarged`` packs it, is of twice the
    side too.
    """
    height, width = image.shape[:2]
    half, zero, one = np.float32(0.5), np.float32(0.0), np.float32(1.0)
    for row in range(height):
        for column in range(width):
            y, x = np.uint32(2 * row), np.uint32(2 * column)
            below, beside = y + np.uint32(1), x + np.uint32(1)
            a, b, c, d = depth[y, x], depth[y, beside], depth[below, x], depth[below, beside]
            farthest, nearest = min(a, b, c, d), max(a, b, c, d)
            if nearest == FAR:
                for q in range(3):
                    image[row, column, q] = backdrop[row, column, q]
                continue
            flat = nearest - farthest < ONE_SURFACE
            px, py = np.float32(x) + half, np.float32(y) + half
            red = green = blue = zero
            if flat:
                tries = 1
                t, other = np.uint32(seen[y, x]), np.uint32(seen[below, beside])
                if t == other:  # what lies in the middle of the two is the mean of both
                    px, py = px + half, py + half
                there, u, v, mu, mv, share, gain = _place(px, py, t, weights, triangles, texture)
                covered = 1 if there else 0
                if t != other:
                    there, u2, v2, mu2, mv2, share2, gain2 = _place(
                        px + one, py + one, other, weights, triangles, texture
                    )
                    tries = 2
                    if covered and there:
                        if (share > zero) != (
                            share2 > zero
                        ):  # one has no place in the mirrored half
                            share = share2 = zero
                        u, v, mu, mv = (
                            (u + u2) * half,
                            (v + v2) * half,
                            (mu + mu2) * half,
                            (mv + mv2) * half,
                        )
                        share, gain = (share + share2) * half, (gain + gain2) * half
                        tries = 1
                    elif there:
                        u, v, mu, mv, share, gain, covered = u2, v2, mu2, mv2, share2, gain2, 1
                if covered:
                    red, green, blue = _shown(picture, u, v, mu, mv, share, gain)
            else:
                tries, covered = 4, 0
                for sub in range(4):
                    right, down = np.uint32(sub % 2), np.uint32(sub // 2)
                    found = seen[y + down, x + right]
                    if found >= 0:
                        there, u, v, mu, mv, share, gain = _place(
                            px + np.float32(right),
                            py + np.float32(down),
                            np.uint32(found),
                            weights,
                            triangles,
                            texture,
                        )
                        if there:
                            covered += 1
                            r, g, b = _shown(picture, u, v, mu, mv, share, gain)
                            red, green, blue = red + r, green + g, blue + b
            each = one / np.float32(tries)
            red, green, blue = red * each + half, green * each + half, blue * each + half
            if covered < tries:
                behind = np.float32(tries - covered) * each
                red += behind * np.float32(backdrop[row, column, 0])
                green += behind * np.float32(backdrop[row, column, 1])
                blue += behind * np.float32(backdrop[row, column, 2])
            image[row, column, 0] = np.uint8(np.int32(red))
            image[row, column, 1] = np.uint8(np.int32(green))
            image[row, column, 2] = np.uint8(np.int32(blue))
