"""Hair: a shell over the scalp whose lower edge is the hairline, the fringe and the ends of the hair."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from urface.data.synthetic.head import scalp, smoothstep
from urface.data.synthetic.person import Person

ROWS, COLUMNS = 26, 61
STRANDS_Y, STRANDS_X = 64, 512  # texels of the strand pattern


@dataclass(frozen=True)
class HairCut:
    """How the hair is worn in one shot."""

    style: str
    volume: float
    length: float  # 0..1
    parting: float  # -1..1
    lift: float  # mm that the edge moves up, from combing


# Heights (mm) of the lower edge at these azimuths (degrees from the front).
_AZIMUTH = np.array([0.0, 22.0, 40.0, 52.0, 66.0, 78.0, 95.0, 120.0, 180.0])
_EDGE = {
    "cropped": (64, 62, 52, 36, 12, 0, 22, 0, -60),
    "short": (60, 58, 48, 32, 6, -8, 14, -20, -70),
    "fringe": (40, 37, 34, 28, 4, -14, 2, -40, -80),
    "bob": (62, 58, 48, 26, -20, -70, -84, -92, -95),
    "long": (63, 59, 48, 24, -30, -120, -165, -190, -200),
    "tied": (63, 61, 55, 42, 20, 6, 20, -30, -60),
    "afro": (62, 60, 50, 34, 8, -6, -10, -40, -75),
}
_THICKNESS = {  # mm on the crown, on the sides
    "cropped": (3.5, 2.0),
    "short": (13.0, 5.0),
    "fringe": (13.0, 7.0),
    "bob": (13.0, 12.0),
    "long": (12.0, 13.0),
    "tied": (5.0, 3.5),
    "afro": (38.0, 30.0),
}


@lru_cache(maxsize=1)
def _shell() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(azimuth [R, C], t [R, C] from crown 0 to edge 1, triangles)."""
    spread = np.linspace(-1, 1, COLUMNS)
    azimuth = np.pi * np.sign(spread) * np.abs(spread) ** 1.25
    t = np.linspace(0, 1, ROWS) ** 0.8
    corner = np.arange(ROWS * COLUMNS, dtype=np.int32).reshape(ROWS, COLUMNS)
    a, b, d, e = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    triangles = np.concatenate(
        [np.stack(k, -1).reshape(-1, 3) for k in ((a, d, b), (b, d, e))], dtype=np.int32
    )
    theta, down = np.meshgrid(azimuth, t)
    return theta, down, triangles


def hair_triangles() -> np.ndarray:
    """[T, 3] int32, the shell's own numbering."""
    return _shell()[2]


def hair_coordinates() -> tuple[np.ndarray, np.ndarray]:
    """(azimuth / pi [V], t [V]) float32, what the strands are looked up by."""
    theta, down, _ = _shell()
    return (theta / np.pi).ravel().astype(np.float32), down.ravel().astype(np.float32)


@lru_cache(maxsize=1)
def strand_pattern() -> np.ndarray:
    """[STRANDS_Y, STRANDS_X] float32 about 0..1: long streaks for straight hair."""
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


def hair_shell(person: Person, cut: HairCut, skull: np.ndarray) -> np.ndarray | None:
    """The shell's vertices [V, 3] float32 in mm on the mean head, or None for the bald.

    ``skull`` [3] is how much the identity's head is wider, taller and deeper than the mean head.
    """
    if cut.style == "bald":
        return None
    theta, t, _ = _shell()
    azimuth = np.rad2deg(np.abs(theta[0]))
    side = np.sin(theta[0])
    edge = np.interp(azimuth, _AZIMUTH, _EDGE[cut.style])
    rng = np.random.Generator(np.random.Philox(key=np.array([6, person.texture_key], np.uint64)))
    front = smoothstep(75.0, 45.0, azimuth)
    edge = edge + front * (person.hairline * 0.8 + cut.lift)
    edge = edge + person.recession * np.exp(-(((azimuth - 34.0) / 20.0) ** 2))
    edge = edge + (cut.style == "fringe") * 14.0 * cut.parting * side * front
    hanging = smoothstep(58.0, 80.0, azimuth) * (cut.style in ("bob", "long"))
    edge = edge + hanging * (35.0 - 60.0 * cut.length)
    edge = np.minimum(edge + rng.uniform(-3.0, 3.0, COLUMNS), 100.0)
    y = 119.0 + (edge - 119.0) * t
    base = scalp(theta, np.maximum(y, 12.0))  # hair falls straight from where the head is widest
    close = scalp(theta, np.clip(y, -112.0, 119.0))
    fall = hanging * smoothstep(12.0, -60.0, y)
    points = np.where((hanging > 0)[None, :, None], base * 0.92 + close * 0.08, close)
    points[..., 1] = y
    crown, sides = _THICKNESS[cut.style]
    over = crown + (sides - crown) * smoothstep(90.0, 15.0, y)
    thick = over * cut.volume
    waves = 1.0 + 0.22 * np.sin(theta * 7 + 9 * t + rng.uniform(0, 6)) * person.hair_curl
    waves = waves * (1.0 + 0.30 * np.tanh(2 * side) * cut.parting * smoothstep(40.0, 100.0, y))
    thick = thick * waves + person.hair_curl * rng.uniform(-2.5, 2.5, theta.shape) * (t > 0.1)
    taper = np.where(hanging > 0.5, 1.0, smoothstep(1.0, 0.72, t) * 0.94 + 0.06)
    if cut.style == "fringe":
        taper = np.maximum(taper, 0.45 * front)
    if cut.style == "afro":
        taper = smoothstep(1.02, 0.85, t) * 0.95 + 0.05
    out = points * np.array([1.0, 0.0, 1.0])
    out[..., 1] = np.maximum(y - 45.0, 0.0) * 1.1
    out = out / (np.linalg.norm(out, axis=-1, keepdims=True) + 1e-6)
    points = points + out * (thick * taper + 1.2)[..., None]
    points[..., 2] -= 10.0 * fall * smoothstep(110.0, 70.0, azimuth)
    points = points * skull
    return np.ascontiguousarray(points.reshape(-1, 3), dtype=np.float32)
