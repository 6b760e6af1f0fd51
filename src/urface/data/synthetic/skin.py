"""What is painted on the head: skin, brows, lips, beard and the marks of age, in linear light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from urface.data.synthetic.head import EYE_X, MOUTH_X, MOUTH_Y, bump, mean_width, smoothstep
from urface.data.synthetic.person import Person

WIDTH, HEIGHT = 288, 256  # texels
THETA_RANGE = np.deg2rad(112.0)  # the texture spans -THETA_RANGE .. THETA_RANGE
TOP, BOTTOM = 118.0, -137.0  # and these canonical heights, mm


@dataclass(frozen=True)
class Canvas:
    """Canonical coordinates of every texel, and the masks that no identity changes."""

    x: np.ndarray  # [HEIGHT, WIDTH] float32, mm
    y: np.ndarray
    shade: np.ndarray  # light that reaches the hollows of the mean face, 0..1
    blush: np.ndarray
    beard: np.ndarray
    moustache: np.ndarray


@lru_cache(maxsize=1)
def canvas() -> Canvas:
    """The texels of every head; made once per process."""
    theta = np.linspace(-THETA_RANGE, THETA_RANGE, WIDTH, dtype=np.float32)
    rows = np.linspace(TOP, BOTTOM, HEIGHT, dtype=np.float32)
    turn, y = np.meshgrid(theta, rows)
    x = (mean_width(y) * np.sin(turn)).astype(np.float32)
    front = np.cos(turn) > 0
    shade = 1.0 - 0.30 * bump(x, y, EYE_X, 9.0, 15, 5) * front
    shade = shade - 0.22 * bump(x, y, 15.0, 3.0, 6, 9) - 0.18 * bump(x, y, EYE_X, -9.0, 14, 4)
    shade = shade - 0.62 * bump(x, y, 6.3, -47.3, 3.3, 2.0)  # nostrils
    shade = shade - 0.22 * bump(x, y, 17.5, -44.0, 2.2, 5.0) - 0.20 * bump(x, y, 0, -50, 9, 2.6)
    shade = shade - 0.20 * bump(x, y, 0, -88.0, 15, 4) - 0.25 * bump(x, y, MOUTH_X + 2, MOUTH_Y, 4, 3)
    shade = shade * (1.0 - 0.45 * smoothstep(-117.0, -126.0, y))
    blush = bump(x, y, 42.0, -28.0, 20, 16) + 0.8 * bump(x, y, 0, -36.0, 11, 12)
    blush = blush + 0.25 * bump(x, y, 0, -104.0, 14, 8)
    jaw_line = -62.0 - 30.0 * (1 - (np.abs(x) / 60.0) ** 2)  # where a beard begins on the cheek
    beard = smoothstep(0.0, -14.0, y - np.where(np.abs(x) > 24, jaw_line + 34, -84.0))
    sideburn = smoothstep(np.deg2rad(62), np.deg2rad(70), np.abs(turn))
    beard = np.maximum(beard, sideburn * smoothstep(5.0, -8.0, y))
    beard = beard * smoothstep(-133.0, -120.0, y) * smoothstep(1.62, 1.45, np.abs(turn))
    ring = np.maximum(bump(x, y, 29.0, -78.0, 6.5, 15), bump(x, y, 0.0, -61.0, 26, 6.5))
    fields = (x, y, np.clip(shade, 0.05, 1), blush, beard, np.clip(ring * 1.3, 0, 1))
    return Canvas(*(np.ascontiguousarray(a, dtype=np.float32) for a in fields))


def smooth_noise(rng: np.random.Generator, cells_y: int, cells_x: int) -> np.ndarray:
    """[HEIGHT, WIDTH] smooth noise in about -1..1 with the given number of cells."""
    cells = rng.uniform(-1, 1, (cells_y, cells_x)).astype(np.float32)
    return cv2.resize(cells, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def lip_outline(person: Person, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Canonical heights above and depths below the line of the mouth that the lips reach, mm."""
    upper, lower, bow = person.lip_heights
    round_off = np.clip(1.0 - (x / (MOUTH_X + 1.0)) ** 2, 0.0, 1.0)
    cupid = 1.0 - bow * np.exp(-((x / 3.6) ** 2)) + 0.12 * np.exp(-(((np.abs(x) - 8.0) / 5.0) ** 2))
    return upper * round_off**0.8 * cupid, lower * round_off**0.6


def paint_skin(person: Person) -> np.ndarray:
    """The texture [HEIGHT, WIDTH, 5] float32 of ``person``: linear colour, lip mask, beard mask."""
    rng = np.random.Generator(np.random.Philox(key=np.array([5, person.texture_key], np.uint64)))
    c = canvas()
    old = float(np.clip((person.age - 32) / 45, 0, 1))
    dark = 1.0 - float(person.skin.mean()) / 0.6
    tone = 0.07 * smooth_noise(rng, 5, 6) + 0.05 * smooth_noise(rng, 14, 16)
    tone += (0.03 + 0.05 * old) * smooth_noise(rng, 50, 56)
    tone += (0.02 + 0.02 * old) * rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32)
    red = 0.05 * smooth_noise(rng, 7, 8) + (0.06 + 0.16 * person.blush) * c.blush
    tone = tone - 0.16 * np.maximum(0, smooth_noise(rng, 22, 26) - 0.62) * (1 + 3 * old)
    tone = tone + _wrinkles(rng, c, old)
    tone = tone - person.freckles * _spots(rng, c)
    tone = tone - _moles(rng, c)
    eye_rings = bump(c.x, c.y, EYE_X, -10.0, 13, 5)
    tone = tone - (0.05 + 0.22 * rng.random() * (0.4 + old)) * eye_rings
    light = (c.shade * np.exp(tone))[..., None]
    tint = np.stack([0.35 * red, -0.9 * red, -0.7 * red], axis=-1)
    skin = person.skin.astype(np.float32) * light * np.exp(tint * (1 - 0.5 * max(dark, 0.0)))
    skin = _beard(rng, person, c, skin)
    lips = _lip_mask(person, c)
    skin = _lips(person, c, skin, lips)
    skin = np.clip(_brows(rng, person, c, skin), 0.003, 1.0)
    beard = np.maximum(c.beard, c.moustache)
    return np.ascontiguousarray(np.dstack([skin, lips, beard]), dtype=np.float32)


def _mix(base: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> np.ndarray:
    weight = mask[..., None].astype(np.float32)
    mixed: np.ndarray = base * (1 - weight) + np.asarray(colour, np.float32) * weight
    return mixed


def _wrinkles(rng: np.random.Generator, c: Canvas, old: float) -> np.ndarray:
    """Darkening (log light) of the folds of the face; grows with age."""
    lines = np.zeros_like(c.x)
    fold_x = 19.0 + (-47.0 - c.y) * 0.42
    fold = np.exp(-(((np.abs(c.x) - fold_x) / 2.0) ** 2)) * smoothstep(-44, -50, c.y)
    lines += (0.10 + 0.50 * old) * fold * smoothstep(-82.0, -66.0, c.y)
    marionette = np.exp(-(((np.abs(c.x) - 29.0 - 0.1 * (-75 - c.y)) / 1.8) ** 2))
    lines += 0.45 * old**1.5 * marionette * smoothstep(-76, -82, c.y) * smoothstep(-102, -90, c.y)
    if old > 0.05:
        for number in range(4):
            height = 34 + 9 * number + rng.normal(0, 1.5)
            wave = height + 2.0 * np.sin(c.x / rng.uniform(9, 20) + rng.uniform(0, 6))
            reach = smoothstep(50, 25, np.abs(c.x))
            lines += rng.uniform(0.1, 0.42) * old * np.exp(-(((c.y - wave) / 1.3) ** 2)) * reach
        frown_x = 5.5 + rng.normal(0, 0.8)
        frown = np.exp(-(((np.abs(c.x) - frown_x) / 1.2) ** 2) - ((c.y - 20) / 8) ** 2)
        lines += rng.uniform(0.1, 0.5) * old * frown
        away = np.abs(c.x) - 48.0
        for slope in (-0.5, 0.05, 0.6):
            ray = np.exp(-(((c.y + 1 - slope * away) / 1.3) ** 2))
            lines += 0.40 * old * ray * smoothstep(0, 3, away) * smoothstep(14, 8, away)
        bag = np.exp(-(((c.y + 15.5 - 0.018 * (np.abs(c.x) - EYE_X) ** 2) / 1.6) ** 2))
        lines += rng.uniform(0.1, 0.5) * old * bag * bump(c.x, c.y, EYE_X, -14, 15, 8)
    return -lines


def _spots(rng: np.random.Generator, c: Canvas) -> np.ndarray:
    dots = (rng.random((HEIGHT, WIDTH)) > 0.965).astype(np.float32)
    dots = cv2.GaussianBlur(dots, (3, 3), 0.7)
    return 0.9 * dots * (0.3 + np.minimum(1.0, c.blush + bump(c.x, c.y, 0, 45, 45, 25)))


def _moles(rng: np.random.Generator, c: Canvas) -> np.ndarray:
    marks = np.zeros_like(c.x)
    for _ in range(int(rng.poisson(1.8))):
        x0, y0, size = rng.uniform(-60, 60), rng.uniform(-105, 50), rng.uniform(1.0, 2.6)
        marks += rng.uniform(0.6, 1.6) * np.exp(-((c.x - x0) ** 2 + (c.y - y0) ** 2) / size**2)
    return marks


def _beard(rng: np.random.Generator, person: Person, c: Canvas, skin: np.ndarray) -> np.ndarray:
    if not person.male:
        return skin
    hairs = 0.75 + 0.35 * rng.random((HEIGHT, WIDTH)).astype(np.float32)
    growth = np.maximum(c.beard * (0.12 + 0.85 * person.beard), 0.0)
    growth = np.maximum(growth, c.moustache * (0.12 + 0.8 * person.moustache))
    colour = 0.8 * person.hair + 0.2 * person.skin * 0.5
    return _mix(skin, colour, np.clip(growth * hairs, 0, 0.96))


def _lip_mask(person: Person, c: Canvas) -> np.ndarray:
    above, below = lip_outline(person, c.x)
    height = c.y - MOUTH_Y
    inside = np.where(height > 0, smoothstep_to(above, height), smoothstep_to(below, -height))
    return np.clip(inside * (np.abs(c.x) < MOUTH_X + 1), 0, 0.92)


def smoothstep_to(edge: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """1 inside ``edge``, 0 outside, soft over 1.8 mm; 0 where the edge itself has closed."""
    return np.clip(0.5 - (distance - edge) / 1.8, 0, 1) * (edge > 0.05)


def _lips(person: Person, c: Canvas, skin: np.ndarray, mask: np.ndarray) -> np.ndarray:
    height = c.y - MOUTH_Y
    volume = np.where(height > 0, 0.86, 1.08)[..., None]
    line = np.exp(-((height / 1.1) ** 2)) * smoothstep(MOUTH_X + 3, MOUTH_X - 4, np.abs(c.x))
    return _mix(skin, person.lips * volume, mask) * (1 - 0.55 * line)[..., None]


def _brows(rng: np.random.Generator, person: Person, c: Canvas, skin: np.ndarray) -> np.ndarray:
    height, thickness, arch, tilt, length, density = person.brow
    along = (np.abs(c.x) - 13.0) / (36.0 * length)  # 0 at the inner end, 1 at the tail
    centre = 18.0 + height + arch * np.sin(np.pi * np.clip(along, 0, 1) ** 0.8)
    centre = centre + tilt * (along - 0.5) - 3.5 * np.maximum(0, along - 0.65) * 2
    half = thickness * (1.0 - 0.65 * smoothstep(0.45, 1.0, along)) * (0.75 + 0.25 * smoothstep(0, 0.2, along))
    body = smoothstep(half + 1.3, half - 0.9, np.abs(c.y - centre))
    body = body * smoothstep(-0.06, 0.12, along) * smoothstep(1.04, 0.85, along)
    strands = 0.72 + 0.28 * rng.random((HEIGHT, WIDTH)).astype(np.float32)
    return _mix(skin, person.brow_hair, np.clip(body * strands * density, 0, 0.95))
