"""The mean head: a fixed grid of vertices that every identity and expression deforms.

Frame, in millimetres: x to the viewer's right when the face looks at the viewer, y up from the line of
the pupils, z towards the viewer from the axis of the neck. The *canonical* coordinates (cx, cy) of a
vertex are its x and y on the smooth mean head; features (eyes, lips, brows) keep their canonical place
in every head, so that geometry and painted skin always agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

EYE_X, MOUTH_Y, MOUTH_X, NOSE_TIP_Y = 31.5, -73.0, 25.5, -38.0
LIP_GAP = 0.25  # canonical half-height of the slit that opens into the mouth
THETA_LIMIT = np.deg2rad(150.0)  # the back of the head is never seen

# Half width, depth in front of the axis, depth behind it, by height y: the smooth head without features.
_PROFILE = np.array(
    [
        (118.0, 0.5, 1.0, 1.0),
        (113.0, 30.0, 36.0, 40.0),
        (101.0, 52.0, 61.0, 66.0),
        (80.0, 67.0, 80.0, 84.0),
        (55.0, 74.0, 91.0, 94.0),
        (30.0, 76.0, 96.0, 96.0),
        (10.0, 75.0, 93.0, 95.0),
        (-10.0, 73.0, 91.0, 90.0),
        (-30.0, 70.0, 90.0, 82.0),
        (-50.0, 65.5, 89.5, 70.0),
        (-72.0, 59.5, 89.0, 58.0),
        (-90.0, 51.5, 87.0, 52.0),
        (-105.0, 41.0, 84.0, 48.0),
        (-115.0, 31.0, 78.0, 48.0),
        (-121.0, 27.0, 66.0, 50.0),
        (-125.0, 38.0, 44.0, 52.0),
        (-131.0, 49.0, 30.0, 54.0),
        (-150.0, 55.0, 28.0, 56.0),
        (-168.0, 70.0, 34.0, 60.0),
        (-184.0, 120.0, 48.0, 74.0),
        (-210.0, 200.0, 66.0, 100.0),
    ]
)[::-1]
_WIDTH, _FRONT, _BACK = (PchipInterpolator(_PROFILE[:, 0], _PROFILE[:, i]) for i in (1, 2, 3))


@dataclass(frozen=True)
class HeadGrid:
    """The mean head on its grid of R rows (top to bottom) and C columns (image left to right)."""

    rows: int
    columns: int
    theta: np.ndarray  # [V] azimuth in radians, 0 in front, > 0 to the viewer's right
    cx: np.ndarray  # [V] canonical x, mm
    cy: np.ndarray  # [V] canonical y, mm
    front: np.ndarray  # [V] 0 behind the ears .. 1 on the face
    mean: np.ndarray  # [V, 3] float32, mm
    triangles: np.ndarray  # [T, 3] int32, counter-clockwise seen from outside
    landmark_index: np.ndarray  # [5] the vertices nearest to the five points


def bump(x: np.ndarray, y: np.ndarray, x0: float, y0: float, sx: float, sy: float) -> np.ndarray:
    """A Gaussian hill at (x0, y0); with x0 > 0 also its mirror image, for paired features."""
    hill: np.ndarray = np.exp(-(((x - x0) / sx) ** 2 + ((y - y0) / sy) ** 2))
    if x0 > 0:
        hill = hill + np.exp(-(((x + x0) / sx) ** 2 + ((y - y0) / sy) ** 2))
    return hill


def smoothstep(low: np.ndarray | float, high: np.ndarray | float, x: np.ndarray) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between; with low > high it falls instead."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def scalp(theta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Points [..., 3] of the smooth mean head at azimuth ``theta`` and height ``y``."""
    depth = np.where(np.cos(theta) > 0, _FRONT(y), _BACK(y))
    return np.stack([_WIDTH(y) * np.sin(theta), y + 0.0 * theta, depth * np.cos(theta)], axis=-1)


@lru_cache(maxsize=1)
def profile_table() -> np.ndarray:
    """[N, 4] float64: height from 119 mm down by 1 mm, half width, depth in front and behind."""
    y = np.arange(119.0, -210.0, -1.0)
    inside = np.minimum(y, _PROFILE[-1, 0])
    return np.stack([y, _WIDTH(inside), _FRONT(inside), _BACK(inside)], axis=-1)


def mean_width(y: np.ndarray) -> np.ndarray:
    """Half width of the smooth mean head at height ``y``, mm."""
    return _WIDTH(y)


def _rows() -> np.ndarray:
    return np.concatenate(
        [
            [118.0, 116.0, 112.0, 106.0, 98.0],
            np.arange(90.0, 30.0, -6.0),
            np.arange(30.0, -34.0, -2.5),
            np.arange(-34.0, -54.0, -1.7),
            np.arange(-54.0, -71.6, -2.2),
            [-72.0, MOUTH_Y + LIP_GAP, MOUTH_Y - LIP_GAP, -74.2, -76.0],
            np.arange(-78.0, -114.0, -2.6),
            [-115.0, -118.0, -121.0, -123.0, -125.0, -127.5, -131.0],
            [-138.0, -146.0, -154.0, -162.0, -170.0, -178.0, -188.0, -210.0],
        ]
    )


def _columns() -> np.ndarray:
    near = np.arange(0.0, 52.0, 2.2).tolist()
    far = [55.0, 59.0, 63.0, 67.0, 71.0, 75.0, 79.0, 83.0, 87.0, 91.0, 96.0, 101.0, 108.0, 117.0]
    right = np.array([*near, *far, 130.0, 150.0])
    return np.deg2rad(np.concatenate([-right[:0:-1], right]))


def _relief(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth in mm that the mean features add to the smooth head."""
    ridge = np.interp(y, [-53, -49, -45, -38, -20, 0, 10, 22], [0, 4, 14, 20, 13.0, 5.5, 2, 0])
    half_width = np.interp(y, [-50, -44, -36, -18, 10], [12.0, 11.5, 10.5, 8.5, 9.0])
    relief = ridge * np.exp(-(np.abs(x / half_width) ** 1.8))
    for depth, x0, y0, sx, sy in (
        (-9.5, EYE_X, 3.0, 15.0, 10.0),  # sockets
        (5.5, EYE_X, -0.5, 11.0, 7.5),  # eyeballs under the lids
        (-3.5, 15.0, -1.0, 5.0, 8.0),  # inner corners
        (4.0, 25.0, 20.0, 17.0, 6.5),  # brow ridges
        (2.5, 0.0, -39.0, 7.0, 6.0),  # tip of the nose
        (6.0, 13.5, -42.0, 4.8, 5.5),  # wings of the nose
        (5.0, 0.0, -70.0, 27.0, 19.0),  # muzzle
        (3.2, 0.0, -68.5, 19.0, 3.0),  # upper lip
        (4.0, 0.0, -78.5, 16.0, 3.4),  # lower lip
        (-2.6, 0.0, MOUTH_Y, 24.0, 1.3),  # line of the mouth
        (-3.0, MOUTH_X + 1.0, MOUTH_Y - 1.0, 5.0, 5.0),  # corners
        (-1.6, 0.0, -58.0, 3.0, 6.0),  # philtrum
        (-4.5, 0.0, -87.5, 18.0, 5.0),  # fold above the chin
        (6.5, 0.0, -103.0, 15.0, 10.0),  # chin
        (4.5, 45.0, -16.0, 16.0, 13.0),  # cheek bones
        (-3.5, 46.0, -55.0, 16.0, 16.0),  # hollow of the cheeks
        (-3.0, 66.0, 30.0, 12.0, 16.0),  # temples
    ):
        relief = relief + depth * bump(x, y, x0, y0, sx, sy)
    return relief


def _ears(theta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far [..., 3] the surface stands out as ears, mm."""
    turn = np.rad2deg(np.abs(theta))
    lean = turn - 0.16 * y  # the ear leans back at its top
    rim = np.exp(-(np.abs((lean - 101.0) / 8.5) ** 4)) * np.exp(-(np.abs((y + 12.0) / 29.0) ** 4))
    out = np.zeros((*np.shape(rim), 3))
    out[..., 0] = 12.0 * rim * np.sign(theta)
    out[..., 2] = -7.0 * rim
    return out


@lru_cache(maxsize=1)
def head_grid() -> HeadGrid:
    """The mean head; made once per process."""
    rows, columns = _rows(), _columns()
    y, theta = (a.ravel() for a in np.meshgrid(rows, columns, indexing="ij"))
    mean = scalp(theta, y)
    cx = mean[:, 0].copy()
    front = smoothstep(0.0, 0.35, np.cos(theta))
    mean[:, 2] += _relief(cx, y) * front
    mean += _ears(theta, y)
    r, c = len(rows), len(columns)
    corner = np.arange(r * c, dtype=np.int32).reshape(r, c)
    a, b, d, e = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    triangles = np.concatenate(
        [np.stack(t, -1).reshape(-1, 3) for t in ((a, d, b), (b, d, e))], dtype=np.int32
    )
    points = [(-EYE_X, 0.0), (EYE_X, 0.0), (0.0, NOSE_TIP_Y)]
    points += [(-MOUTH_X, MOUTH_Y), (MOUTH_X, MOUTH_Y)]
    distance = [np.hypot(cx - px, y - py) + 1e3 * (front < 0.5) for px, py in points]
    index = np.array([int(d.argmin()) for d in distance])
    return HeadGrid(r, c, theta, cx, y, front, mean.astype(np.float32), triangles, index)
