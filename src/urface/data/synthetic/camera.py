"""From the head to the aligned crop: projection, the aligner's transform, and the picture taken."""

from __future__ import annotations

import cv2
import numpy as np

# The five points of the 112x112 crop: eye at the image's left, at its right, nose tip, mouth corners.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
TEMPLATE_SIZE = 112


def rotation(yaw: float, pitch: float) -> np.ndarray:
    """[3, 3] head to camera (x right, y up, z to the viewer); first pitch, then yaw, in degrees."""
    a, b = np.deg2rad(yaw), np.deg2rad(pitch)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    return turn @ nod


def project(points: np.ndarray, distance: float) -> np.ndarray:
    """Camera points [..., 3] in mm to the image plane [..., 2], y down, mm at the head's axis."""
    scale = distance / (distance - points[..., 2])
    return np.stack([points[..., 0] * scale, -points[..., 1] * scale], axis=-1)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least-squares similarity [2, 3] that takes points ``source`` [N, 2] to ``target``.

    Without reflection it has four unknowns (a, b, tx, ty) in closed form: Umeyama, PAMI 1991.
    """
    from_centre, to_centre = source.mean(0), target.mean(0)
    p, q = source - from_centre, target - to_centre
    norm = (p**2).sum()
    a = (p * q).sum() / norm
    b = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / norm
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, to_centre - turn @ from_centre])


def aligned(
    landmarks: np.ndarray, size: int, roll: float, zoom: float, shift: tuple[float, float]
) -> np.ndarray:
    """The aligner's transform [2, 3] of projected ``landmarks`` [5, 2] to a crop of ``size``.

    ``roll`` (degrees, clockwise), ``zoom`` and ``shift`` (shares of the side) are its error.
    """
    template = TEMPLATE * (size / TEMPLATE_SIZE)
    fit = similarity(landmarks, template)
    centre = template.mean(0)
    a = np.deg2rad(roll)
    error = zoom * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    moved = error @ fit
    moved[:, 2] += centre - error @ centre + np.array(shift) * size
    return moved


def backdrop(rng: np.random.Generator, size: int, plain: bool) -> np.ndarray:
    """[size, size, 3] float32 linear light: gradients, blotches and hard-edged clutter."""
    if plain:
        return np.full((size, size, 3), 0.35, np.float32)
    level = float(np.exp(rng.uniform(np.log(0.02), np.log(0.8))))
    tint = np.exp(rng.normal(0, 0.25, 3))
    cells = int(rng.integers(2, 7))
    blotches = np.exp(rng.normal(0, rng.uniform(0.05, 0.8), (cells, cells, 3)) * 0.7)
    blotches = blotches * np.exp(rng.normal(0, 0.4, (cells, cells, 1))) * level * tint
    image = cv2.resize(blotches.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    for _ in range(int(rng.integers(0, 6))):
        colour = tuple(float(c) for c in np.exp(rng.normal(np.log(level), 0.7, 3)))
        x0, y0 = (int(v) for v in rng.integers(-size // 3, size, 2))
        x1, y1 = x0 + int(rng.integers(3, size)), y0 + int(rng.integers(3, size))
        if rng.random() < 0.7:
            cv2.rectangle(image, (x0, y0), (x1, y1), colour, -1)
        else:
            cv2.circle(image, (x0, y0), int(rng.integers(3, size // 2)), colour, -1)
    if rng.random() < 0.7:  # most pictures keep the background out of focus
        image = cv2.blur(image, (2 * (size // 28) + 1,) * 2)
    return np.clip(image, 0.0, 1.5)


def take_picture(
    rng: np.random.Generator, light: np.ndarray, face: np.ndarray, plain: bool
) -> np.ndarray:
    """Develop linear ``light`` [S, S, 3] to RGB uint8: exposure, white balance, tone and noise.

    ``face`` [S, S] bool is what the camera meters its exposure on.
    """
    size = light.shape[0]
    metered = float(np.median(light[..., 1][face])) if face.any() else 0.3
    trust = rng.uniform(0.55, 0.9)  # cameras do not meter to the same grey each time
    gain = (0.27 / max(metered, 0.01)) ** trust * np.exp(bounded(rng, 0.33))
    balance = np.exp(np.array([bounded(rng, 0.11), bounded(rng, 0.03), bounded(rng, 0.13)]))
    saturation = rng.uniform(0.55, 1.25) if rng.random() > 0.04 else 0.0
    contrast, gamma = rng.uniform(0.8, 1.25), rng.uniform(0.85, 1.2)
    blur, vignette = rng.uniform(0.0, 0.75), rng.uniform(0.0, 0.35)
    sigma = rng.uniform(0.002, 0.028)
    noise = rng.standard_normal((size, size, 3), dtype=np.float32)
    coarse = rng.standard_normal((size // 2, size // 2, 3), dtype=np.float32)
    if plain:
        gain = (0.27 / max(metered, 0.01)) ** 0.7
        balance, saturation, contrast, gamma = np.ones(3), 1.0, 1.0, 1.0
        blur = vignette = sigma = 0.0
    image = light * (gain * balance).astype(np.float32)
    across = np.linspace(-1, 1, size, dtype=np.float32) ** 2
    image = image * (1 - vignette * 0.5 * (across[:, None] + across[None, :]))[..., None]
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), blur * size / TEMPLATE_SIZE)
    image = image / (1.0 + 0.18 * image * image)  # highlights roll off instead of clipping
    image = np.power(np.clip(image, 0.0, 1.0), 1.0 / (2.2 * gamma), dtype=np.float32)
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    image = grey[..., None] + saturation * (image - grey[..., None])
    image = 0.5 + contrast * (image - 0.5)
    grain = 0.7 * noise + 0.5 * cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    image = image + sigma * grain
    return np.clip(image * 255.0 + 0.5, 0, 255).astype(np.uint8)


def bounded(rng: np.random.Generator, sd: float) -> float:
    """A normal draw of spread ``sd`` cut at two spreads."""
    return float(np.clip(rng.standard_normal(), -2, 2) * sd)
