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
    """Fill ``depth`` [H, W], ``seen`` [H, W] (triangle, -1 none) and ``weights`` [H, W, 2].

    ``screen`` [V, 3] float32: x right, y down in pixels with centres at +0.5, and depth, larger nearer.
    Triangles that are turned away are left out.
    """
    height, width = depth.shape
    depth[:] = FAR
    seen[:] = -1
    half, zero, one = np.float32(0.5), np.float32(0.0), np.float32(1.0)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = screen[i, 0], screen[i, 1], screen[i, 2]
        x1, y1, z1 = screen[j, 0] - x0, screen[j, 1] - y0, screen[j, 2] - z0
        x2, y2, z2 = screen[k, 0] - x0, screen[k, 1] - y0, screen[k, 2] - z0
        area = x1 * y2 - x2 * y1
        if area >= zero:  # y points down, so the front is clockwise
            continue
        left = max(int(np.ceil(x0 + min(zero, x1, x2) - half)), 0)
        right = min(int(np.floor(x0 + max(zero, x1, x2) - half)), width - 1)
        top = max(int(np.ceil(y0 + min(zero, y1, y2) - half)), 0)
        bottom = min(int(np.floor(y0 + max(zero, y1, y2) - half)), height - 1)
        inverse = one / area
        w1_step, w2_step = y2 * inverse, -y1 * inverse
        for row in range(top, bottom + 1):
            py = np.float32(row) + half - y0
            px = np.float32(left) + half - x0
            w1 = (px * y2 - x2 * py) * inverse
            w2 = (x1 * py - px * y1) * inverse
            for column in range(left, right + 1):
                if w1 >= zero and w2 >= zero and w1 + w2 <= one:
                    z = z0 + w1 * z1 + w2 * z2
                    r, c = np.uint32(row), np.uint32(column)
                    if z > depth[r, c]:
                        depth[r, c] = z
                        seen[r, c] = t
                        weights[r, c, 0] = w1
                        weights[r, c, 1] = w2
                w1 += w1_step
                w2 += w2_step


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
def _colour(picture: np.ndarray, u: np.float32, v: np.float32) -> tuple[float, float, float]:
    """The bilinear colour of ``picture`` at (u, v), pixels with centres at +0.5."""
    x = _folded(u - np.float32(0.5), picture.shape[1])
    y = _folded(v - np.float32(0.5), picture.shape[0])
    # Unsigned places spare numba the test for a negative one at each of the twelve reads.
    left = np.uint32(min(int(x), picture.shape[1] - 2))
    top = np.uint32(min(int(y), picture.shape[0] - 2))
    right, bottom = left + np.uint32(1), top + np.uint32(1)
    a, b = x - np.float32(left), y - np.float32(top)
    one = np.float32(1.0)
    w00, w01, w10, w11 = (one - a) * (one - b), a * (one - b), (one - a) * b, a * b
    return (
        w00 * picture[top, left, 0]
        + w01 * picture[top, right, 0]
        + w10 * picture[bottom, left, 0]
        + w11 * picture[bottom, right, 0],
        w00 * picture[top, left, 1]
        + w01 * picture[top, right, 1]
        + w10 * picture[bottom, left, 1]
        + w11 * picture[bottom, right, 1],
        w00 * picture[top, left, 2]
        + w01 * picture[top, right, 2]
        + w10 * picture[bottom, left, 2]
        + w11 * picture[bottom, right, 2],
    )


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
    of two opposite ones: that is as sharp, for the picture is of twice the side too.
    """
    height, width = image.shape[:2]
    half, zero, most = np.float32(0.5), np.float32(0.0), np.float32(255.0)
    at = np.zeros((4, 6), np.float32)
    for row in range(height):
        for column in range(width):
            y, x = 2 * row, 2 * column
            a, b, c, d = depth[y, x], depth[y, x + 1], depth[y + 1, x], depth[y + 1, x + 1]
            flat = max(a, b, c, d) - min(a, b, c, d) < ONE_SURFACE and a > FAR
            stride = 3 if flat else 1
            covered, tries = 0, 0
            for sub in range(0, 4, stride):
                tries += 1
                seen_here = seen[y + sub // 2, x + sub % 2]
                if seen_here < 0:
                    continue
                t = np.uint32(seen_here)
                i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                w1, w2 = (
                    weights[y + sub // 2, x + sub % 2, 0],
                    weights[y + sub // 2, x + sub % 2, 1],
                )
                w0 = np.float32(1.0) - w1 - w2
                if w0 * texture[i, THERE] + w1 * texture[j, THERE] + w2 * texture[k, THERE] < half:
                    continue
                to = at[covered]
                to[0] = w0 * texture[i, 0] + w1 * texture[j, 0] + w2 * texture[k, 0]
                to[1] = w0 * texture[i, 1] + w1 * texture[j, 1] + w2 * texture[k, 1]
                to[SHARE] = w0 * texture[i, SHARE] + w1 * texture[j, SHARE] + w2 * texture[k, SHARE]
                if to[SHARE] > zero:
                    to[2] = w0 * texture[i, 2] + w1 * texture[j, 2] + w2 * texture[k, 2]
                    to[3] = w0 * texture[i, 3] + w1 * texture[j, 3] + w2 * texture[k, 3]
                    to[GAIN] = w0 * texture[i, GAIN] + w1 * texture[j, GAIN] + w2 * texture[k, GAIN]
                covered += 1
            samples, each = covered, np.float32(1.0) / np.float32(tries)
            behind = np.float32(tries - covered) * each
            if flat and covered == 2:
                samples, each = 1, np.float32(1.0)
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
