"""Triangles with a picture on them to pixels: the inner loops of pose augmentation."""

from __future__ import annotations

import numpy as np
from numba import njit

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


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _folded(at: np.float32, size: int) -> np.float32:
    """A coordinate folded back into 0..size - 1 at the picture's edges."""
    last = np.float32(size - 1)
    if at < 0.0:
        at = -at
    if at > last:
        at = at % (2.0 * last)
        if at > last:
            at = 2.0 * last - at
    return at


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _spread(pixel: np.uint32) -> np.uint64:
    """The three bytes of a pixel 21 bits apart: room for each to be multiplied by up to 2^13."""
    wide = np.uint64(pixel)
    return (
        (wide & np.uint64(0xFF))
        | (wide & np.uint64(0xFF00)) << np.uint64(13)
        | (wide & np.uint64(0xFF0000)) << np.uint64(26)
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _colour(picture: np.ndarray, u: np.float32, v: np.float32) -> tuple[float, float, float]:
    """The bilinear colour of ``picture`` at (u, v), pixels with centres at +0.5.

    All three colours at once, in one whole number; the place is rounded to 1/64 of a pixel.
    """
    x = _folded(u - np.float32(0.5), picture.shape[1])
    y = _folded(v - np.float32(0.5), picture.shape[0])
    left = np.uint32(min(np.int32(x), np.int32(picture.shape[1] - 2)))
    top = np.uint32(min(np.int32(y), np.int32(picture.shape[0] - 2)))
    right, bottom = left + np.uint32(1), top + np.uint32(1)
    half, steps, all_steps = np.float32(0.5), np.float32(64.0), np.uint64(64)
    a = np.uint64(np.int32((x - np.float32(left)) * steps + half))
    b = np.uint64(np.int32((y - np.float32(top)) * steps + half))
    mixed = (
        _spread(picture[top, left]) * ((all_steps - a) * (all_steps - b))
        + _spread(picture[top, right]) * (a * (all_steps - b))
        + _spread(picture[bottom, left]) * ((all_steps - a) * b)
        + _spread(picture[bottom, right]) * (a * b)
    )
    scale, lane = np.float32(1 / 4096), np.uint64(0x1FFFFF)
    return (
        scale * np.float32(np.int32(mixed & lane)),
        scale * np.float32(np.int32(mixed >> np.uint64(21) & lane)),
        scale * np.float32(np.int32(mixed >> np.uint64(42))),
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _place(
    x: np.float32,
    y: np.float32,
    t: np.uint32,
    weights: np.ndarray,
    triangles: np.ndarray,
    texture: np.ndarray,
    to: np.ndarray,
) -> bool:
    """Fill ``to`` [6] with the texture of triangle ``t`` at (x, y); whether anything is there."""
    i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    x, y = x - weights[t, 0], y - weights[t, 1]
    w1 = x * weights[t, 2] + y * weights[t, 3]
    w2 = x * weights[t, 4] + y * weights[t, 5]
    w0 = np.float32(1.0) - w1 - w2
    there = w0 * texture[i, THERE] + w1 * texture[j, THERE] + w2 * texture[k, THERE]
    if there < np.float32(0.5):
        return False
    to[0] = w0 * texture[i, 0] + w1 * texture[j, 0] + w2 * texture[k, 0]
    to[1] = w0 * texture[i, 1] + w1 * texture[j, 1] + w2 * texture[k, 1]
    to[SHARE] = w0 * texture[i, SHARE] + w1 * texture[j, SHARE] + w2 * texture[k, SHARE]
    if to[SHARE] > np.float32(0.0):
        to[2] = w0 * texture[i, 2] + w1 * texture[j, 2] + w2 * texture[k, 2]
        to[3] = w0 * texture[i, 3] + w1 * texture[j, 3] + w2 * texture[k, 3]
        to[GAIN] = w0 * texture[i, GAIN] + w1 * texture[j, GAIN] + w2 * texture[k, GAIN]
    return True


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
    half, zero, most = np.float32(0.5), np.float32(0.0), np.float32(255.0)
    one, two = np.float32(1.0), np.float32(2.0)
    at = np.zeros((4, 6), np.float32)
    for row in range(height):
        for column in range(width):
            y, x = np.uint32(2 * row), np.uint32(2 * column)
            below, beside = y + np.uint32(1), x + np.uint32(1)
            a, b, c, d = depth[y, x], depth[y, beside], depth[below, x], depth[below, beside]
            if max(a, b, c, d) == FAR:
                for q in range(3):
                    image[row, column, q] = backdrop[row, column, q]
                continue
            flat = max(a, b, c, d) - min(a, b, c, d) < ONE_SURFACE
            covered, tries = 0, 0
            if flat and seen[y, x] == seen[below, beside]:
                # The middle of the two opposite ones, at once.
                t = np.uint32(seen[y, x])
                px, py = two * np.float32(column) + one, two * np.float32(row) + one
                tries = 1
                if _place(px, py, t, weights, triangles, texture, at[0]):
                    covered = 1
            else:
                for sub in range(0, 4, 3 if flat else 1):
                    tries += 1
                    sub_row, sub_column = np.uint32(2 * row + sub // 2), np.uint32(2 * column + sub % 2)
                    seen_here = seen[sub_row, sub_column]
                    if seen_here < 0:
                        continue
                    px, py = np.float32(sub_column) + half, np.float32(sub_row) + half
                    t = np.uint32(seen_here)
                    if _place(px, py, t, weights, triangles, texture, at[covered]):
                        covered += 1
            samples, each = covered, one / np.float32(tries)
            behind = np.float32(tries - covered) * each
            if flat and covered == 2:
                samples, each = 1, one
                one_mirrored = (at[0, SHARE] > zero) != (at[1, SHARE] > zero)
                for q in range(6):
                    at[0, q] = (at[0, q] + at[1, q]) * half
                if one_mirrored:  # the other has no place in the mirrored half
                    at[0, SHARE] = zero
            red = green = blue = zero
            for sub in range(samples):
                r, g, b_ = _colour(picture, at[sub, 0], at[sub, 1])
                share = at[sub, SHARE]
                if share > zero:
                    mr, mg, mb = _colour(picture, at[sub, 2], at[sub, 3])
                    gain = at[sub, GAIN]
                    r += share * (min(most, mr * gain) - r)
                    g += share * (min(most, mg * gain) - g)
                    b_ += share * (min(most, mb * gain) - b_)
                red, green, blue = red + r, green + g, blue + b_
            red, green, blue = red * each + half, green * each + half, blue * each + half
            if behind > zero:
                red += behind * backdrop[row, column, 0]
                green += behind * backdrop[row, column, 1]
                blue += behind * backdrop[row, column, 2]
            image[row, column, 0] = np.uint8(red)
            image[row, column, 1] = np.uint8(green)
            image[row, column, 2] = np.uint8(blue)
