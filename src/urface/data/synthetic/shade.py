"""The colour of every visible point, in linear light: skin, eyes, mouth, cloth and hair under a lamp."""

from __future__ import annotations

import numpy as np
from numba import njit

from urface.data.synthetic.head import EYE_X, LIP_GAP, MOUTH_X, MOUTH_Y

CLOTH_Y = -152.0
CHANNELS = 5  # of the texture: red, green, blue, lips, beard

# Places of the numbers in ``face``, the per-shot parameters of the shader.
EYE_HALF, EYE_UPPER, EYE_LOWER, EYE_CREASE, IRIS_RADIUS = 0, 1, 2, 3, 4
EYE_OPEN, GAZE_X, GAZE_Y, LASHES, LID_TINT = 5, 6, 7, 8, 9
MOUTH_GAP, TEETH, LIP_TINT, STUBBLE, OIL, COLLAR = 10, 11, 12, 13, 14, 15
FACE_PARAMETERS = 16

# Rows of ``colours`` [*, 3].
IRIS, LIPSTICK, LID, HAIR, CLOTH, TAN, LAMP, SKY, GROUND = 0, 1, 2, 3, 4, 5, 6, 7, 8
COLOURS = 9


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _smooth(low: float, high: float, x: float) -> float:
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _eye(
    cx: float,
    cy: float,
    face: np.ndarray,
    colours: np.ndarray,
    lamp: np.ndarray,
    albedo: np.ndarray,
) -> float:
    """Paint lids, lashes and eyeball over ``albedo``; returns how wet (mirror-like) the point is."""
    side = 1.0 if cx > 0 else -1.0
    across = (abs(cx) - EYE_X) / face[EYE_HALF]  # -1 at the inner corner, 1 at the outer
    if abs(across) > 1.25:
        return 0.0
    round_off = max(0.0, 1.0 - abs(across) ** 2.3)
    low = -face[EYE_LOWER] * round_off * (1.0 + 0.12 * across) - 0.6 * across * across
    gap = (face[EYE_UPPER] + face[EYE_LOWER]) * round_off**0.85 * face[EYE_OPEN]
    high = low + gap * (1.0 - 0.07 * across)
    if abs(across) < 1.0 and low < cy < high:
        gx = cx - side * EYE_X - face[GAZE_X]
        gy = cy - 0.7 - face[GAZE_Y]
        radius = np.sqrt(gx * gx + gy * gy) / face[IRIS_RADIUS]
        red, green, blue = 0.38, 0.35, 0.335
        corner = _smooth(0.55, 1.0, abs(across))
        green -= 0.16 * corner
        blue -= 0.15 * corner
        if radius < 1.06:
            ring = 1.0 - 0.75 * _smooth(0.72, 1.02, radius)
            glow = 0.75 + 0.55 * _smooth(0.95, 0.35, radius)
            red, green, blue = (
                colours[IRIS, 0] * ring * glow,
                colours[IRIS, 1] * ring * glow,
                colours[IRIS, 2] * ring * glow,
            )
            if radius < 0.38:
                red = green = blue = 0.004
        cover = 0.35 + 0.65 * _smooth(0.0, 3.6, high - cy)  # the lid shades the ball beneath it
        cover *= 0.8 + 0.2 * round_off
        albedo[0], albedo[1], albedo[2] = red * cover, green * cover, blue * cover
        hx = gx - 2.2 * lamp[0]
        hy = gy - 2.0 * max(lamp[1], 0.15)
        if hx * hx + hy * hy < 1.2:
            return 1.0
        return 0.0
    above = cy - high
    width = abs(across)
    if above >= 0.0 and width < 1.12:
        tint = face[LID_TINT] * _smooth(9.0, 1.0, above) * _smooth(1.12, 0.8, width)
        shade = 1.0 - 0.16 * _smooth(6.0, 1.0, above) * round_off
        fold = above - (1.6 + 2.6 * face[EYE_CREASE]) * (0.35 + 0.65 * round_off)
        shade -= (0.12 + 0.42 * face[EYE_CREASE]) * np.exp(-((fold / 0.9) ** 2)) * round_off**0.3
        for c in range(3):
            albedo[c] = (albedo[c] * (1.0 - tint) + colours[LID, c] * tint) * shade
        reach = 0.55 + 1.1 * face[LASHES] * (0.5 + 0.5 * _smooth(-1.0, 0.9, across))
        dark = _smooth(reach + 0.5, reach - 0.5, above) * _smooth(1.12, 0.97, width)
        for c in range(3):
            albedo[c] *= 1.0 - 0.90 * dark
    elif low >= cy and width < 1.05:
        dark = _smooth(1.5, 0.2, low - cy) * (0.22 + 0.30 * face[LASHES]) * round_off**0.3
        albedo[0] *= 1.0 - dark * 0.85
        albedo[1] *= 1.0 - dark
        albedo[2] *= 1.0 - dark
    return 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _inside_mouth(cx: float, cy: float, face: np.ndarray, albedo: np.ndarray) -> bool:
    """Paint teeth and the dark of the mouth where the point lies in the slit of open lips."""
    if abs(cy - MOUTH_Y) > LIP_GAP or abs(cx) >= MOUTH_X or face[MOUTH_GAP] < 0.4:
        return False
    across = cx / MOUTH_X
    gap = face[MOUTH_GAP] * np.sqrt(max(0.0, 1.0 - across * across))
    down = (MOUTH_Y + LIP_GAP - cy) / (2.0 * LIP_GAP) * gap  # mm below the upper lip
    dim = _smooth(1.0, 0.35, abs(across))
    if down < face[TEETH] and abs(across) < 0.9:
        seam = abs((abs(cx) / 6.2) % 1.0 - 0.0)
        line = 1.0 - 0.30 * (1.0 if seam < 0.09 else 0.0)
        tone = (0.25 + 0.40 * dim) * line * (0.55 + 0.45 * _smooth(0.0, 2.0, down))
        albedo[0], albedo[1], albedo[2] = tone, tone * 0.93, tone * 0.82
    else:
        tongue = _smooth(0.55 * gap, 1.0 * gap, down) * dim
        albedo[0] = 0.045 + 0.18 * tongue
        albedo[1] = 0.012 + 0.05 * tongue
        albedo[2] = 0.012 + 0.05 * tongue
    return True


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _sample(texture: np.ndarray, u: float, v: float, out: np.ndarray) -> None:
    height, width = texture.shape[0], texture.shape[1]
    u = min(max(u, 0.0), width - 1.001)
    v = min(max(v, 0.0), height - 1.001)
    x, y = int(u), int(v)
    fx, fy = u - x, v - y
    a, b = (1.0 - fx) * (1.0 - fy), fx * (1.0 - fy)
    c, d = (1.0 - fx) * fy, fx * fy
    for k in range(CHANNELS):
        out[k] = (
            a * texture[y, x, k]
            + b * texture[y, x + 1, k]
            + c * texture[y + 1, x, k]
            + d * texture[y + 1, x + 1, k]
        )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _lit(shadow: np.ndarray, x: float, y: float, z: float) -> float:
    """Share of the lamp that reaches a point given in the shadow map's pixels, 0..1."""
    size = shadow.shape[0]
    u, v = x - 0.5, y - 0.5
    i, j = int(np.floor(u)), int(np.floor(v))
    if i < 0 or j < 0 or i >= size - 1 or j >= size - 1:
        return 1.0
    fu, fv = u - i, v - j
    z = z + 5.0  # mm: the map is coarse, and a surface must not shade itself
    total = 0.0
    if shadow[j, i] <= z:
        total += (1.0 - fu) * (1.0 - fv)
    if shadow[j, i + 1] <= z:
        total += fu * (1.0 - fv)
    if shadow[j + 1, i] <= z:
        total += (1.0 - fu) * fv
    if shadow[j + 1, i + 1] <= z:
        total += fu * fv
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def shade(
    seen: np.ndarray,
    weights: np.ndarray,
    triangles: np.ndarray,
    skin_triangles: int,
    normals: np.ndarray,
    attributes: np.ndarray,
    light_points: np.ndarray,
    shadow: np.ndarray,
    texture: np.ndarray,
    strands: np.ndarray,
    face: np.ndarray,
    colours: np.ndarray,
    lamp: np.ndarray,
    shadow_strength: float,
    image: np.ndarray,
) -> None:
    """Write linear light into ``image`` [H, W, 3] wherever ``seen`` names a triangle.

    attributes [V, 6]: skin (texel u, texel v, cx, cy, openness, is face); hair (azimuth / pi, t, ...).
    texture [H, W, 5]: colour, lips, beard. lamp [3]: unit vector towards the light, camera frame.
    """
    height, width = seen.shape
    texel = np.zeros(CHANNELS, np.float32)
    albedo = np.zeros(3, np.float32)
    a = np.zeros(6, np.float32)
    n = np.zeros(3, np.float32)
    p = np.zeros(3, np.float32)
    rows, columns = strands.shape
    hx, hy, hz = lamp[0], lamp[1], lamp[2] + 1.0
    length = np.sqrt(hx * hx + hy * hy + hz * hz) + 1e-6
    hx, hy, hz = hx / length, hy / length, hz / length
    for row in range(height):
        for column in range(width):
            t = seen[row, column]
            if t < 0:
                continue
            i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            w1, w2 = weights[row, column, 0], weights[row, column, 1]
            w0 = 1.0 - w1 - w2
            for c in range(3):
                n[c] = w0 * normals[i, c] + w1 * normals[j, c] + w2 * normals[k, c]
                p[c] = w0 * light_points[i, c] + w1 * light_points[j, c] + w2 * light_points[k, c]
            for c in range(6):
                a[c] = w0 * attributes[i, c] + w1 * attributes[j, c] + w2 * attributes[k, c]
            scale = 1.0 / (np.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) + 1e-9)
            nx, ny, nz = n[0] * scale, n[1] * scale, n[2] * scale
            lit = 1.0 - shadow_strength * (1.0 - _lit(shadow, p[0], p[1], p[2]))
            if t >= skin_triangles:
                inner = 1.0
                if nz < 0.0:
                    nx, ny, nz, inner = -nx, -ny, -nz, 0.45
                u = int((a[0] + 1.0) * 0.5 * 3.0 * columns) % columns
                v = min(int(a[1] * (rows - 1)), rows - 1)
                strand = strands[v, u]
                tone = (0.45 + 1.1 * strand) * inner * (1.0 - 0.25 * a[4])
                facing = nx * lamp[0] + ny * lamp[1] + nz * lamp[2]
                diffuse = max(0.0, (facing + 0.35) / 1.35) * lit
                tx, ty, tz = ny * nx, ny * ny - 1.0, ny * nz  # "down" laid onto the surface
                th = (tx * hx + ty * hy + tz * hz) / (np.sqrt(tx * tx + ty * ty + tz * tz) + 1e-6)
                th += 0.22 * (strand - 0.5)
                shine = max(0.0, 1.0 - th * th) ** 18 * max(0.0, facing + 0.1) * lit * inner
                for c in range(3):
                    sky = colours[SKY, c] * (0.5 + 0.5 * ny) + colours[GROUND, c] * (0.5 - 0.5 * ny)
                    base = colours[HAIR, c] * tone
                    glint = (0.035 + 0.30 * colours[HAIR, c]) * shine * (0.4 + 1.2 * strand)
                    image[row, column, c] = (
                        base * (sky + colours[LAMP, c] * diffuse) + glint * colours[LAMP, c]
                    )
                continue
            cx, cy = a[2], a[3]
            open_sky, wet, gloss = a[4], 0.0, face[OIL]
            wrap_red, wrap_blue = 0.30, 0.12
            if cy < CLOTH_Y + face[COLLAR] * (0.3 + abs(cx) / 60.0):
                for c in range(3):
                    albedo[c] = colours[CLOTH, c]
                gloss, wrap_red = 0.0, 0.12
            else:
                _sample(texture, a[0], a[1], texel)
                lips, beard = texel[3], texel[4]
                paint, rough = face[LIP_TINT] * lips, 1.0 - face[STUBBLE] * beard
                for c in range(3):
                    tanned = texel[c] * colours[TAN, c] * rough
                    albedo[c] = tanned * (1.0 - paint) + colours[LIPSTICK, c] * paint
                gloss = gloss * (1.0 - 0.8 * beard) + 0.5 * lips
                if a[5] > 0.5:
                    if abs(cy) < 18.0 and 12.0 < abs(cx) < 53.0:
                        wet = _eye(cx, cy, face, colours, lamp, albedo)
                    elif _inside_mouth(cx, cy, face, albedo):
                        nx, ny, nz, gloss = 0.0, 0.0, 1.0, 0.0
                        open_sky *= 0.8
            facing = nx * lamp[0] + ny * lamp[1] + nz * lamp[2]
            half = max(0.0, nx * hx + ny * hy + nz * hz)
            edge = (1.0 - max(nz, 0.0)) ** 3
            broad = half**9
            shine = (0.035 * broad + 0.06 * broad**4) * (0.3 + gloss) * (1.0 + 3.0 * edge)
            shine *= _smooth(-0.05, 0.25, facing) * lit
            for c in range(3):
                wrap = wrap_red + (wrap_blue - wrap_red) * 0.5 * c
                diffuse = max(0.0, (facing + wrap) / (1.0 + wrap))
                soft = lit + (1.0 - lit) * 0.12 * (1.0 - 0.5 * c)  # red light bleeds into shadows
                sky = colours[SKY, c] * (0.5 + 0.5 * ny) + colours[GROUND, c] * (0.5 - 0.5 * ny)
                light = sky * open_sky + colours[LAMP, c] * diffuse * soft
                image[row, column, c] = albedo[c] * light + (shine + 0.5 * wet) * colours[LAMP, c]
