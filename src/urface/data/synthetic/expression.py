"""What a face does for a moment: expression as linear deformations of the same grid."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from urface.data.synthetic.head import MOUTH_X, MOUTH_Y, bump, head_grid, smoothstep

EXPRESSIONS = ("smile", "jaw", "brow_raise", "frown", "pucker", "smirk")


@lru_cache(maxsize=1)
def expression_basis() -> np.ndarray:
    """[E, V, 3] displacement in mm at full strength, in the order of EXPRESSIONS.

    "jaw" is per 10 mm of opening; its field jumps across the slit of the lips, which opens the mouth.
    """
    g = head_grid()
    x, y, front = g.cx, g.cy, g.front
    side = np.tanh(x / 6.0)

    def hill(x0: float, y0: float, sx: float, sy: float) -> np.ndarray:
        return bump(x, y, x0, y0, sx, sy) * front

    below = (y < MOUTH_Y) * 1.0
    slit = np.sqrt(np.clip(1.0 - (x / MOUTH_X) ** 2, 0.0, 1.0)) * front
    mandible = smoothstep(-128.0, -118.0, y) * smoothstep(72.0, 30.0, np.abs(x)) * front
    lower = smoothstep(MOUTH_Y, MOUTH_Y - 24.0, y)
    drop = below * (slit * (1 - lower) + mandible * lower)
    lift = (1 - below) * slit * smoothstep(-58.0, MOUTH_Y + 1, y)
    corner, cheek = hill(MOUTH_X + 1, MOUTH_Y, 12, 11), hill(41, -30, 17, 15)
    zero = np.zeros_like(x)
    fields = {
        "smile": (
            side * (6.5 * corner + 2.0 * cheek),
            6.0 * corner + 3.5 * cheek + 1.5 * lift - 1.0 * slit * below * (1 - lower),
            -4.5 * corner
            + 4.0 * cheek
            - 2.0 * hill(0, MOUTH_Y, 24, 12)
            - 2.0 * hill(31, -57, 5, 10),
        ),
        "jaw": (-side * 1.2 * corner, -10.0 * drop + 2.0 * lift, -2.5 * drop),
        "brow_raise": (zero, 5.0 * hill(29, 23, 24, 12) + 1.2 * hill(29, 8, 17, 6), zero),
        "frown": (
            -side * 2.5 * hill(15, 20, 12, 9),
            -3.0 * hill(14, 19, 12, 9),
            1.0 * hill(9, 20, 5, 8),
        ),
        "pucker": (-side * 6.0 * hill(20, MOUTH_Y, 13, 11), zero, 5.0 * hill(0, MOUTH_Y, 18, 10)),
        "smirk": (zero, 4.5 * (x > 0) * corner, -1.5 * (x > 0) * corner),
    }
    return np.stack([np.stack(fields[name], -1) for name in EXPRESSIONS]).astype(np.float32)
