"""The picture taken: what lies behind the head, and how the camera develops the light."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numba import njit

from urface.data.synthetic.streams import bounded_normal

GRAIN_SIDE = 512
CURVE_STEPS = 2048


def backdrop(rng: np.random.Generator, size: int, plain: bool) -> np.ndarray:
    """[size, size, 3] float32 linear light: gradients, blotches and hard-edged clutter."""
    if plain:
        return np.full((size, size, 3), 0.35, np.float32)
    side = size // 2  # nobody looks at the background
    level = float(rng.uniform(np.log(0.02), np.log(0.8)))
    tint = rng.normal(0, 0.15, 3)
    cells = int(rng.integers(2, 7))
    blotches = rng.normal(0, rng.uniform(0.02, 0.3), (cells, cells, 3))
    blotches = np.exp(blotches + rng.normal(0, 0.4, (cells, cells, 1)) + level + tint)
    image = cv2.resize(blotches.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    for _ in range(int(rng.integers(0, 6))):
        grey = rng.normal(level, 0.6)
        colour = np.exp(grey + rng.normal(0, 0.25, 3)).tolist()
        x0, y0, x1, y1, radius = (rng.uniform(-0.3, 1.0, 5) * side).astype(int).tolist()
        if rng.random() < 0.7:
            cv2.rectangle(image, (x0, y0), (x0 + abs(x1) + 3, y0 + abs(y1) + 3), colour, -1)
        else:
            cv2.circle(image, (x0, y0), 2 + abs(radius) // 2, colour, -1)
    if rng.random() < 0.7:  # most pictures keep the background out of focus
        image = cv2.blur(image, (2 * (side // 28) + 1,) * 2)
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """[GRAIN_SIDE, GRAIN_SIDE, 3] of film grain, unit variance; shots take windows out of it."""
    rng = np.random.Generator(np.random.Philox(key=np.array([79, 0], np.uint64)))
    fine = rng.standard_normal((GRAIN_SIDE, GRAIN_SIDE, 3)).astype(np.float32)
    coarse = cv2.GaussianBlur(rng.standard_normal(fine.shape).astype(np.float32), (0, 0), 1.0)
    grain = 0.75 * fine + 0.6 * coarse / coarse.std()
    return np.ascontiguousarray(grain, dtype=np.float32)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _develop(
    light: np.ndarray,
    gain: np.ndarray,
    vignette: float,
    curve: np.ndarray,
    saturation: float,
    contrast: float,
    grain: np.ndarray,
    sigma: float,
    out: np.ndarray,
) -> None:
    size = light.shape[0]
    steps = curve.shape[0] - 1
    tone = np.zeros(3, np.float32)
    for row in range(size):
        down = 2.0 * row / (size - 1) - 1.0
        for column in range(size):
            across = 2.0 * column / (size - 1) - 1.0
            fall = 1.0 - 0.5 * vignette * (down * down + across * across)
            for c in range(3):
                value = light[row, column, c] * gain[c] * fall
                value = value / (
                    1.0 + 0.18 * value * value
                )  # highlights roll off, they do not clip
                at = min(max(value, 0.0), 1.0) ** 0.5 * steps  # the root spends steps on the darks
                low = min(int(at), steps - 1)
                tone[c] = curve[low] + (at - low) * (curve[low + 1] - curve[low])
            grey = 0.299 * tone[0] + 0.587 * tone[1] + 0.114 * tone[2]
            for c in range(3):
                value = grey + saturation * (tone[c] - grey)
                value = 0.5 + contrast * (value - 0.5) + sigma * grain[row, column, c]
                out[row, column, c] = np.uint8(min(max(value * 255.0 + 0.5, 0.0), 255.0))


def take_picture(
    rng: np.random.Generator, light: np.ndarray, face: np.ndarray, plain: bool
) -> np.ndarray:
    """Develop linear ``light`` [S, S, 3] to RGB uint8: exposure, white balance, tone and noise.

    ``face`` [S, S] bool is what the camera meters its exposure on.
    """
    size = light.shape[0]
    metered = float(np.median(light[..., 1][face])) if face.any() else 0.3
    trust = rng.uniform(0.55, 0.9)  # cameras do not meter to the same grey each time
    gain = (0.27 / max(metered, 0.01)) ** trust * np.exp(bounded_normal(rng, 0.30))
    shift = np.array([bounded_normal(rng, sd) for sd in (0.10, 0.03, 0.12)])
    saturation = float(rng.uniform(0.55, 1.2) if rng.random() > 0.04 else 0.0)
    contrast, gamma = float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.87, 1.18))
    blur, vignette = float(rng.uniform(0.0, 0.75)), float(rng.uniform(0.0, 0.35))
    sigma = float(rng.uniform(0.15, 1.0) ** 2 * 0.020)
    y0, x0 = rng.integers(0, GRAIN_SIDE - size, 2)
    if plain:
        gain, shift = (0.27 / max(metered, 0.01)) ** 0.7, np.zeros(3)
        saturation, contrast, gamma, blur, vignette, sigma = 1.0, 1.0, 1.0, 0.0, 0.0, 0.0
    if blur > 0.3:
        light = cv2.GaussianBlur(light, (0, 0), blur * size / 112.0)
    curve = np.linspace(0, 1, CURVE_STEPS) ** (2.0 / (2.2 * gamma))
    image = np.empty((size, size, 3), np.uint8)
    _develop(
        light, (gain * np.exp(shift)).astype(np.float32), vignette, curve.astype(np.float32),
        saturation, contrast, _grain()[y0 : y0 + size, x0 : x0 + size], sigma, image,
    )  # fmt: skip
    return image
