"""Who somebody is, as geometry: named linear deformations of the mean head."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from urface.data.synthetic.head import EYE_X, MOUTH_Y, HeadGrid, bump, head_grid, smoothstep

RANDOM_FIELDS = 16


def _field(x: np.ndarray | float, y: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
    size = head_grid().cx.shape
    return np.stack([np.broadcast_to(a, size) for a in (x, y, z)], axis=-1).astype(np.float32)


def _stretch_y(grid: HeadGrid, low: float, high: float) -> np.ndarray:
    """Lengthens the face by 1 mm between two heights; what lies further from the eyes moves along."""
    if high <= 0:
        return -smoothstep(high, low, grid.cy)
    return smoothstep(low, high, grid.cy)


@lru_cache(maxsize=1)
def shape_basis() -> tuple[tuple[str, ...], np.ndarray]:
    """(names [S], fields [S, V, 3]): displacement in mm per unit of each trait, about one spread."""
    g = head_grid()
    x, y, front = g.cx, g.cy, g.front
    side = np.sign(x) * smoothstep(0.0, 8.0, np.abs(x))
    skull = smoothstep(-120.0, -60.0, y)

    def hill(x0: float, y0: float, sx: float, sy: float) -> np.ndarray:
        return bump(x, y, x0, y0, sx, sy) * front

    jaw = smoothstep(-40.0, -85.0, y) * smoothstep(-135.0, -118.0, y)
    around_eye = hill(EYE_X, 2.0, 22.0, 17.0)
    fields = {
        "face_width": _field(0.045 * g.mean[:, 0] * skull, 0, 0),
        "depth": _field(0, 0, 0.04 * g.mean[:, 2] * skull),
        "jaw_width": _field(0.07 * g.mean[:, 0] * jaw, 0, 0),
        "jaw_square": _field(
            0.11 * g.mean[:, 0] * bump(0 * y, y, 0, -98, 1, 16), 0, -2.0 * hill(30, -100, 14, 12)
        ),
        "cheek_width": _field(0.035 * g.mean[:, 0] * bump(0 * y, y, 0, -20, 1, 26), 0, 0),
        "temple_width": _field(0.03 * g.mean[:, 0] * bump(0 * y, y, 0, 45, 1, 32), 0, 0),
        "chin_length": _field(0, 3.2 * _stretch_y(g, -112, -84), 0),
        "chin_forward": _field(0, 0, 3.0 * hill(0, -103, 22, 14)),
        "chin_cleft": _field(0, 0, -1.2 * hill(0, -105, 3, 8)),
        "chin_round": _field(side * 3.0 * hill(14, -106, 12, 12), 0, 0),
        "forehead_height": _field(0, 4.0 * _stretch_y(g, 30, 100), 0),
        "forehead_slope": _field(0, 0, -4.0 * smoothstep(25.0, 80.0, y) * front),
        "cheek_bones": _field(0, 0, 2.8 * hill(46, -16, 16, 12)),
        "cheek_fat": _field(side * 2.5 * hill(48, -58, 20, 24), 0, 4.0 * hill(42, -58, 20, 24)),
        "brow_ridge": _field(0, 0, 2.4 * hill(24, 19, 19, 7)),
        "brow_height": _field(0, 2.0 * hill(28, 22, 24, 11), 0),
        "socket_depth": _field(0, 0, -1.8 * hill(EYE_X, 4, 15, 10)),
        "eye_spacing": _field(side * 1.9 * around_eye, 0, 0),
        "eye_height": _field(0, 1.8 * around_eye, 0),
        "eye_tilt": _field(0, 1.5 * (np.abs(x) - EYE_X) / 14.0 * hill(EYE_X, 0, 19, 14), 0),
        "nose_length": _field(0, 2.6 * _stretch_y(g, -46, -10) * smoothstep(-70.0, -46.0, y), 0),
        "nose_width": _field(0.16 * x * hill(0, -41, 15, 11), 0, 1.2 * hill(14, -42, 5, 5)),
        "nose_bridge_width": _field(0, 0, 2.6 * hill(8, -12, 5, 18)),
        "nose_height": _field(
            0,
            0,
            2.6
            * np.exp(-((x / 10) ** 2))
            * smoothstep(-50.0, -38.0, y)
            * smoothstep(14.0, -34.0, y),
        ),
        "nose_hump": _field(0, 0, 2.2 * hill(0, -14, 7, 9)),
        "nose_tip_up": _field(0, 2.2 * hill(0, -41, 11, 7), 0.8 * hill(0, -36, 9, 6)),
        "nose_tip_bulb": _field(0.0, 0, 2.0 * hill(5.5, -39, 5, 6)),
        "bridge_depth": _field(0, 0, -2.2 * hill(0, 6, 10, 9)),
        "philtrum_length": _field(0, 2.0 * _stretch_y(g, -66, -50), 0),
        "mouth_width": _field(0.075 * x * hill(0, MOUTH_Y, 42, 12), 0, 0),
        "upper_lip": _field(0, 1.2 * hill(0, -66, 22, 5), 1.2 * hill(0, -68, 18, 4)),
        "lower_lip": _field(0, -1.5 * hill(0, -81, 20, 5), 1.5 * hill(0, -78.5, 17, 4)),
        "mouth_corners": _field(0, 1.4 * hill(27, MOUTH_Y, 9, 7), 0),
        "muzzle": _field(0, 0, 2.4 * hill(0, -70, 28, 19)),
        "folds": _field(0, 0, 1.8 * hill(34, -52, 7, 12) - 1.8 * hill(24, -60, 5, 12)),
        "eye_bags": _field(0, 0, 1.2 * hill(EYE_X, -13, 12, 4) - 0.8 * hill(EYE_X, -19, 13, 4)),
        "jowls": _field(side * 2.0 * hill(36, -94, 13, 11), 0, 2.5 * hill(34, -94, 13, 11)),
        "ears_out": _field(side * 5.0 * (np.abs(g.mean[:, 0]) - np.abs(x)) / 15.0, 0, 0),
        "neck_width": _field(0.12 * g.mean[:, 0] * bump(0 * y, y, 0, -150, 1, 22), 0, 0),
    }
    names, stack = list(fields), list(fields.values())
    for number in range(RANDOM_FIELDS):
        names.append(f"random_{number}")
        stack.append(_random_field(number, g))
    return tuple(names), np.stack(stack)


def _random_field(number: int, g: HeadGrid) -> np.ndarray:
    """A smooth deformation with no name: it keeps two people apart whom the named traits leave alike.

    The last quarter is lopsided, since no face is quite symmetric.
    """
    rng = np.random.Generator(np.random.Philox(key=np.array([77, number], np.uint64)))
    lopsided = number >= RANDOM_FIELDS * 3 // 4
    total = np.zeros((len(g.cx), 3), np.float32)
    for _ in range(4):
        x0, y0 = rng.uniform(-55 if lopsided else 1, 55), rng.uniform(-105, 60)
        width = rng.uniform(14, 30)
        if lopsided:
            hill = np.exp(-(((g.cx - x0) / width) ** 2 + ((g.cy - y0) / width) ** 2))
        else:
            hill = bump(g.cx, g.cy, x0, y0, width, width)
        push = rng.uniform(-1.0, 1.0, 3) * (0.8 if lopsided else 1.3)
        sideways = np.ones_like(g.cx) if lopsided else np.tanh(g.cx / 10.0)
        total += (
            (hill * g.front)[:, None] * push * np.stack([sideways, 1 + 0 * g.cx, 1 + 0 * g.cx], -1)
        ).astype(np.float32)
    return total
