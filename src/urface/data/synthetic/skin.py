"""The painted surface of a head: skin tone and its unevenness, beard, lips and brows, in linear light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from urface.data.synthetic.head import EYE_X, MOUTH_X, MOUTH_Y, bump, mean_width, smoothstep
from urface.data.synthetic.person import Person

WIDTH, HEIGHT = 256, 208  # texels
THETA_RANGE = np.deg2rad(112.0)  # the texture spans -THETA_RANGE .. THETA_RANGE
TOP, BOTTOM = 118.0, -137.0  # and these canonical heights, mm
FACE_RANGE = np.deg2rad(64.0)  # features lie within this azimuth


@dataclass(frozen=True)
class Canvas:
    """Canonical coordinates of every texel, and the fields that no identity changes."""

    x: np.ndarray  # [HEIGHT, WIDTH] float32, mm
    y: np.ndarray
    shade: np.ndarray  # light that reaches the hollows of the mean face, 0..1
    blush: np.ndarray
    beard: np.ndarray
    moustache: np.ndarray
    eye_rings: np.ndarray
    spots: np.ndarray  # where freckles gather

    def window(self, top: float, bottom: float) -> tuple[slice, slice]:
        """The texels of the face between two heights: painting only there is what makes it quick."""
        scale = (HEIGHT - 1) / (TOP - BOTTOM)
        rows = slice(int((TOP - top) * scale), int((TOP - bottom) * scale) + 1)
        edge = int(WIDTH * (1 - FACE_RANGE / THETA_RANGE) / 2)
        return rows, slice(edge, WIDTH - edge)


@lru_cache(maxsize=1)
def canvas() -> Canvas:
    """The texels of every head; made once per process."""
    theta = np.linspace(-THETA_RANGE, THETA_RANGE, WIDTH, dtype=np.float32)
    rows = np.linspace(TOP, BOTTOM, HEIGHT, dtype=np.float32)
    turn, y = np.meshgrid(theta, rows)
    x = mean_width(y) * np.sin(turn)
    front = np.cos(turn) > 0
    shade = 1.0 - 0.30 * bump(x, y, EYE_X, 9.0, 15, 5) * front
    shade = shade - 0.22 * bump(x, y, 15.0, 3.0, 6, 9) - 0.18 * bump(x, y, EYE_X, -9.0, 14, 4)
    shade = shade - 0.66 * bump(x, y, 6.3, -47.5, 3.4, 2.1)  # nostrils
    shade = shade - 0.24 * bump(x, y, 17.5, -44.0, 2.2, 5.0) - 0.22 * bump(x, y, 0, -51, 9, 2.6)
    shade = shade - 0.20 * bump(x, y, 0, -88.0, 15, 4)
    shade = shade - 0.25 * bump(x, y, MOUTH_X + 2, MOUTH_Y, 4, 3)
    shade = shade * (1.0 - 0.45 * smoothstep(-117.0, -126.0, y))
    blush = bump(x, y, 42.0, -28.0, 20, 16) + 0.8 * bump(x, y, 0, -36.0, 11, 12)
    blush = blush + 0.25 * bump(x, y, 0, -104.0, 14, 8)
    # how high a beard grows at each distance from the middle: chin, past the mouth, cheek, sideburn
    away = [0, 17, 25, 33, 45, 55, 62]
    upper_edge = np.interp(np.abs(x), away, [-86, -85, -77, -71, -66, -57, -42])
    beard = smoothstep(9.0, -11.0, y - upper_edge)
    sideburn = smoothstep(np.deg2rad(58), np.deg2rad(72), np.abs(turn))
    beard = np.maximum(beard, sideburn * smoothstep(5.0, -8.0, y))
    beard = beard * smoothstep(-133.0, -120.0, y) * smoothstep(1.62, 1.45, np.abs(turn))
    ring = np.maximum(bump(x, y, 29.0, -78.0, 6.5, 15), bump(x, y, 0.0, -61.0, 26, 6.5))
    rings = bump(x, y, EYE_X, -10.0, 13, 5)
    spots = 0.3 + np.minimum(1.0, blush + bump(x, y, 0, 45, 45, 25))
    fields = (x, y, np.clip(shade, 0.05, 1), blush, beard, np.clip(ring * 1.3, 0, 1), rings, spots)
    return Canvas(*(np.ascontiguousarray(a, dtype=np.float32) for a in fields))


def paint_skin(person: Person) -> np.ndarray:
    """The texture [HEIGHT, WIDTH, 5] float32 of ``person``: linear colour, lip mask, beard mask."""
    rng = np.random.Generator(np.random.Philox(key=np.array([5, person.texture_key], np.uint64)))
    c = canvas()
    old = float(np.clip((person.age - 32) / 45, 0, 1))
    dark = float(np.clip(1.0 - person.skin.mean() / 0.6, 0, 1))
    tone = _noise(rng, 5, 6, 0.07) + _noise(rng, 14, 16, 0.05)
    tone += _noise(rng, 44, 48, 0.03 + 0.05 * old)
    tone += (0.02 + 0.02 * old) * rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32)
    tone -= (0.16 + 0.48 * old) * np.maximum(0, _noise(rng, 22, 26, 1.0) - 0.62)
    tone -= (0.05 + 0.22 * rng.random() * (0.4 + old)) * c.eye_rings
    _wrinkles(rng, c, old, tone)
    _moles(rng, c, tone)
    if person.freckles > 0:
        dots = (rng.random((HEIGHT, WIDTH), dtype=np.float32) > 0.965).astype(np.float32)
        tone -= (0.9 * person.freckles) * cv2.GaussianBlur(dots, (3, 3), 0.7) * c.spots
    red = _noise(rng, 7, 8, 0.05) + (0.06 + 0.16 * person.blush) * c.blush
    red *= 1 - 0.5 * dark
    texture = np.empty((HEIGHT, WIDTH, 5), np.float32)
    for channel, tint in enumerate((0.35, -0.9, -0.7)):
        texture[..., channel] = person.skin[channel] * c.shade * np.exp(tone + tint * red)
    if person.male:
        _beard(rng, person, c, texture)
    texture[..., 3] = 0.0
    texture[..., 4] = np.maximum(c.beard, c.moustache)
    _lips(person, c, texture)
    _brows(rng, person, c, texture)
    np.clip(texture[..., :3], 0.003, 1.0, out=texture[..., :3])
    return texture


def _noise(rng: np.random.Generator, cells_y: int, cells_x: int, depth: float) -> np.ndarray:
    """[HEIGHT, WIDTH] smooth noise of about -depth..depth with the given number of cells."""
    cells = rng.uniform(-depth, depth, (cells_y, cells_x)).astype(np.float32)
    return cv2.resize(cells, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def _cover(texture: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> None:
    """Lay ``colour`` [3] over the first three channels with opacity ``mask``, in place."""
    for channel in range(3):
        layer = texture[..., channel]
        layer += (float(colour[channel]) - layer) * mask


def _wrinkles(rng: np.random.Generator, c: Canvas, old: float, tone: np.ndarray) -> None:
    """Darken ``tone`` (log light) along the folds of the face; grows with age."""
    at = c.window(-44.0, -104.0)
    x, y = np.abs(c.x[at]), c.y[at]
    fold = np.exp(-(((x - 19.0 + (47.0 + y) * 0.42) / 2.0) ** 2)) * smoothstep(-44, -50, y)
    lines = (0.10 + 0.50 * old) * fold * smoothstep(-82.0, -66.0, y)
    if old > 0.05:
        marionette = np.exp(-(((x - 29.0 + 0.1 * (75 + y)) / 1.8) ** 2))
        lines += 0.45 * old**1.5 * marionette * smoothstep(-76, -82, y) * smoothstep(-102, -90, y)
    tone[at] -= lines
    if old <= 0.05:
        return
    at = c.window(72.0, 8.0)
    x, y = c.x[at], c.y[at]
    reach = smoothstep(50, 25, np.abs(x))
    for number in range(4):
        height = 34 + 9 * number + rng.normal(0, 1.5)
        wave = height + 2.0 * np.sin(x[0] / rng.uniform(9, 20) + rng.uniform(0, 6))
        depth = rng.uniform(0.1, 0.42) * old
        tone[at] -= depth * np.exp(-(((y - wave) / 1.3) ** 2)) * reach
    frown = np.exp(-(((np.abs(x) - 5.5) / 1.2) ** 2) - ((y - 20) / 8) ** 2)
    tone[at] -= rng.uniform(0.1, 0.5) * old * frown
    at = c.window(14.0, -26.0)
    x, y = np.abs(c.x[at]), c.y[at]
    away = x - 48.0
    for slope in (-0.5, 0.05, 0.6):  # crow's feet
        ray = np.exp(-(((y + 1 - slope * away) / 1.3) ** 2))
        tone[at] -= 0.40 * old * ray * smoothstep(0, 3, away) * smoothstep(14, 8, away)
    bag = np.exp(-(((y + 15.5 - 0.018 * (x - EYE_X) ** 2) / 1.6) ** 2))
    tone[at] -= rng.uniform(0.1, 0.5) * old * bag * bump(x, y, EYE_X, -14, 15, 8)


def _moles(rng: np.random.Generator, c: Canvas, tone: np.ndarray) -> None:
    for _ in range(int(rng.poisson(1.6))):
        x0, y0, size = rng.uniform(-60, 60), rng.uniform(-105, 50), rng.uniform(0.9, 2.2)
        at = c.window(y0 + 6, y0 - 6)
        distance = (c.x[at] - x0) ** 2 + (c.y[at] - y0) ** 2
        tone[at] -= rng.uniform(0.5, 1.5) * np.exp(-distance / size**2)


def _beard(rng: np.random.Generator, person: Person, c: Canvas, texture: np.ndarray) -> None:
    rows = slice(c.window(10.0, BOTTOM)[0].start, HEIGHT)
    beard, moustache = c.beard[rows], c.moustache[rows]
    hairs = 0.75 + 0.35 * rng.random(beard.shape, dtype=np.float32)
    growth = beard * (0.10 + 0.87 * person.beard)
    growth = np.maximum(growth, moustache * (0.10 + 0.82 * person.moustache))
    colour = 0.8 * person.hair + 0.1 * person.skin
    _cover(texture[rows], colour, np.clip(growth * hairs, 0, 0.96))


def _lips(person: Person, c: Canvas, texture: np.ndarray) -> None:
    at = c.window(MOUTH_Y + 17.0, MOUTH_Y - 19.0)
    x, height = c.x[at], c.y[at] - MOUTH_Y
    upper, lower, bow = (float(value) for value in person.lip_heights)
    round_off = np.clip(1.0 - (x / (MOUTH_X + 1.0)) ** 2, 0.0, 1.0)
    cupid = 1.0 - bow * np.exp(-((x / 3.6) ** 2)) + 0.12 * np.exp(-(((np.abs(x) - 8) / 5) ** 2))
    edge = np.where(height > 0, upper * round_off**0.8 * cupid, lower * round_off**0.6)
    mask = np.clip(0.5 - (np.abs(height) - edge) / 1.8, 0, 0.92) * (edge > 0.05)
    patch = texture[at]
    _cover(patch, person.lips, mask)
    line = np.exp(-((height / 1.1) ** 2)) * smoothstep(MOUTH_X + 3, MOUTH_X - 4, np.abs(x))
    light = np.where(height > 0, 0.86, 1.08)  # the upper lip faces the floor, the lower the sky
    patch[..., :3] *= ((1 + (light - 1) * mask) * (1 - 0.55 * line))[..., None]
    patch[..., 3] = mask


def _brows(rng: np.random.Generator, person: Person, c: Canvas, texture: np.ndarray) -> None:
    at = c.window(42.0, 4.0)
    x, y = np.abs(c.x[at]), c.y[at]
    height, thickness, arch, tilt, length, density = (float(value) for value in person.brow)
    along = (x - 13.0) / (36.0 * length)  # 0 at the inner end, 1 at the tail
    centre = 18.0 + height + arch * np.sin(np.pi * np.clip(along, 0, 1) ** 0.8)
    centre = centre + tilt * (along - 0.5) - 7.0 * np.maximum(0, along - 0.65)
    half = thickness * (1.0 - 0.65 * smoothstep(0.45, 1.0, along))
    half = half * (0.75 + 0.25 * smoothstep(0, 0.2, along))
    body = smoothstep(half + 1.3, half - 0.9, np.abs(y - centre))
    body = body * smoothstep(-0.06, 0.12, along) * smoothstep(1.04, 0.85, along)
    strands = 0.72 + 0.28 * rng.random(x.shape, dtype=np.float32)
    _cover(texture[at], person.brow_hair, np.clip(body * strands * density, 0, 0.95))
