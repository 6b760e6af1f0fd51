"""Hair: a shell over the scalp whose lower edge is the hairline, the fringe and the ends of the hair."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit

from urface.data.synthetic.head import profile_table, smoothstep
from urface.data.synthetic.person import Person

ROWS, COLUMNS = 24, 57
STRANDS_Y, STRANDS_X = 64, 512  # texels of the strand pattern


@dataclass(frozen=True)
class HairCut:
    """How the hair is worn in one shot."""

    style: str
    volume: float
    length: float  # 0..1
    parting: float  # about -1..1
    lift: float  # mm that the edge moves up, from combing


# Heights (mm) of the lower edge at these azimuths (degrees from the front).
_AZIMUTH = np.array([0.0, 22.0, 40.0, 52.0, 66.0, 78.0, 95.0, 120.0, 180.0])
_EDGE = {
    "cropped": (66, 64, 54, 36, 12, 0, 22, 0, -60),
    "short": (64, 62, 50, 32, 6, -8, 14, -20, -70),
    "fringe": (40, 37, 34, 28, 4, -14, 2, -40, -80),
    "bob": (64, 60, 50, 26, -20, -70, -84, -92, -95),
    "long": (65, 61, 50, 24, -30, -120, -165, -190, -200),
    "tied": (65, 63, 57, 44, 22, 8, 20, -30, -60),
    "afro": (64, 62, 52, 36, 8, -6, -10, -40, -75),
}
_THICKNESS = {  # mm on the crown, on the sides
    "cropped": (4.0, 1.5),
    "short": (16.0, 5.0),
    "fringe": (13.0, 7.0),
    "bob": (14.0, 12.0),
    "long": (13.0, 13.0),
    "tied": (5.0, 3.5),
    "afro": (38.0, 30.0),
}
_FRAY = {"cropped": 0.10, "short": 0.12, "tied": 0.10, "fringe": 0.30, "afro": 0.12}


@lru_cache(maxsize=1)
def _shell() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(azimuth [COLUMNS], t [ROWS] from crown 0 to edge 1, triangles)."""
    spread = np.linspace(-1, 1, COLUMNS)
    azimuth = np.pi * np.sign(spread) * np.abs(spread) ** 1.25
    t = np.linspace(0, 1, ROWS) ** 0.8
    corner = np.arange(ROWS * COLUMNS, dtype=np.int32).reshape(ROWS, COLUMNS)
    a, b, d, e = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    triangles = [np.stack(k, -1).reshape(-1, 3) for k in ((a, d, b), (b, d, e))]
    return azimuth, t, np.concatenate(triangles, dtype=np.int32)


def hair_triangles() -> np.ndarray:
    """[T, 3] int32, the shell's own numbering."""
    return _shell()[2]


@lru_cache(maxsize=1)
def hair_coordinates() -> np.ndarray:
    """[V, 2] float32 (azimuth / pi, t), what the strands are looked up by."""
    azimuth, t, _ = _shell()
    theta, down = np.meshgrid(azimuth / np.pi, t)
    return np.stack([theta.ravel(), down.ravel()], -1).astype(np.float32)


def fray(style: str) -> float:
    """How much of the shell's lower part is broken up into strands."""
    return _FRAY.get(style, 0.26)


@lru_cache(maxsize=1)
def strand_pattern() -> np.ndarray:
    """[STRANDS_Y, STRANDS_X] float32, 0..1: long streaks of light and dark strands."""
    rng = np.random.Generator(np.random.Philox(key=np.array([78, 0], np.uint64)))
    total = np.zeros((STRANDS_Y, STRANDS_X))
    for cells_x, cells_y, weight in ((512, 4, 0.3), (256, 5, 0.4), (96, 3, 0.35), (32, 4, 0.3)):
        cells = rng.standard_normal((cells_y, cells_x))
        y = np.linspace(0, cells_y - 1, STRANDS_Y)
        low = np.minimum(y.astype(int), cells_y - 2)
        mix = (y - low)[:, None]
        column = (np.arange(STRANDS_X) * cells_x) // STRANDS_X
        total += weight * ((1 - mix) * cells[low] + mix * cells[low + 1])[:, column]
    total = (total - total.mean()) / total.std()
    return np.clip(0.5 + 0.25 * total, 0.0, 1.0).astype(np.float32)


def hair_shell(
    person: Person, cut: HairCut, skull: tuple[float, float, float]
) -> np.ndarray | None:
    """The shell's vertices [V, 3] float32 in mm, or None for the bald.

    ``skull`` tells how the identity's head differs: wider by a factor, taller by mm, deeper by a factor.
    """
    if cut.style == "bald":
        return None
    azimuth, t, _ = _shell()
    degrees, side = np.rad2deg(np.abs(azimuth)), np.sin(azimuth)
    rng = np.random.Generator(np.random.Philox(key=np.array([6, person.texture_key], np.uint64)))
    ragged = rng.uniform(-3.0, 3.0, COLUMNS)
    lumps = rng.uniform(-2.5, 2.5, (ROWS, COLUMNS)) * person.hair_curl
    phase = rng.uniform(0, 6)
    front = smoothstep(75.0, 45.0, degrees)
    edge = np.interp(degrees, _AZIMUTH, _EDGE[cut.style]) + ragged
    edge = edge + front * (person.hairline * 0.8 + cut.lift)
    edge = edge + person.recession * np.exp(-(((degrees - 34.0) / 20.0) ** 2))
    edge = edge + (cut.style == "fringe") * 14.0 * cut.parting * side * front
    hanging = smoothstep(58.0, 80.0, degrees) * (cut.style in ("bob", "long"))
    edge = np.minimum(edge + hanging * (35.0 - 60.0 * cut.length), 100.0)
    crown, sides = _THICKNESS[cut.style]
    taper_start = 0.85 if cut.style == "afro" else 0.70
    kept = np.maximum(hanging > 0.5, 0.45 * front * (cut.style == "fringe"))
    points = np.empty((ROWS, COLUMNS, 3), np.float32)
    _drape(
        azimuth, t, edge, hanging, kept, lumps, profile_table(), crown * cut.volume,
        sides * cut.volume, taper_start, 0.22 * person.hair_curl, phase,
        0.30 * cut.parting, np.array(skull), points,
    )  # fmt: skip
    return points.reshape(-1, 3)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _soft(low: float, high: float, x: float) -> float:
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _drape(
    azimuth: np.ndarray,
    t: np.ndarray,
    edge: np.ndarray,
    hanging: np.ndarray,
    kept: np.ndarray,
    lumps: np.ndarray,
    profile: np.ndarray,
    crown: float,
    sides: float,
    taper_start: float,
    wave: float,
    phase: float,
    parting: float,
    skull: np.ndarray,
    points: np.ndarray,
) -> None:
    """Fill ``points`` [R, C, 3]: each column runs from the crown down to its edge, off the scalp.

    ``kept`` [C] is the share of the thickness left at the edge; elsewhere hair thins out to nothing.
    ``profile`` [N, 4]: height, half width, front and back depth of the scalp at even steps, top down.
    """
    top, step, last = profile[0, 0], profile[0, 0] - profile[1, 0], profile.shape[0] - 2
    for column in range(azimuth.shape[0]):
        sine, cosine = np.sin(azimuth[column]), np.cos(azimuth[column])
        depth = 2 if cosine > 0 else 3
        lean = parting * np.tanh(2.0 * sine)  # more hair on one side of the parting
        behind = _soft(1.92, 1.22, abs(azimuth[column]))
        for row in range(t.shape[0]):
            y = 119.0 + (edge[column] - 119.0) * t[row]
            # hair falls straight from where the head is widest; short hair follows the head
            held = y if hanging[column] == 0.0 else max(y, 12.0)
            at = (top - max(held, -112.0)) / step
            low = min(max(int(at), 0), last)
            mix = min(max(at - low, 0.0), 1.0)
            width = profile[low, 1] + mix * (profile[low + 1, 1] - profile[low, 1])
            reach = profile[low, depth] + mix * (profile[low + 1, depth] - profile[low, depth])
            x, z = width * sine, reach * cosine
            over = crown + (sides - crown) * _soft(90.0, 15.0, y)
            thick = over * (1.0 + wave * np.sin(azimuth[column] * 7.0 + 9.0 * t[row] + phase))
            thick *= 1.0 + lean * _soft(40.0, 100.0, y)
            thin = _soft(1.02, taper_start, t[row]) * 0.94 + 0.06
            thick = thick * max(thin, kept[column]) + 1.2
            if t[row] > 0.1:
                thick += lumps[row, column]
            up = max(y - 45.0, 0.0) * 1.1
            scale = thick / (np.sqrt(x * x + up * up + z * z) + 1e-6)
            fallen = hanging[column] * _soft(12.0, -60.0, y) * behind
            points[row, column, 0] = (x + x * scale) * skull[0]
            lifted = skull[1] * _soft(30.0, 100.0, y)
            points[row, column, 1] = y + up * scale + lifted
            points[row, column, 2] = (z + z * scale - 10.0 * fallen) * skull[2]
