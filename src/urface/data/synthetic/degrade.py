"""True occlusion and true low resolution, for data sets that ask for them."""

from __future__ import annotations

import cv2
import numpy as np

FULLY_OCCLUDED = 0.15  # share of the visible face that must be hidden for the label 1
KINDS = ("sunglasses", "mask", "block", "hand")


def occlude(
    rng: np.random.Generator,
    light: np.ndarray,
    face: np.ndarray,
    landmarks: np.ndarray,
    share: float,
) -> tuple[np.ndarray, float]:
    """(linear light with, in a ``share`` of all shots, something before the face; occlusion label).

    The label is min(1, share of the face's pixels hidden / FULLY_OCCLUDED); ``face`` [S, S] bool.
    """
    if rng.random() >= share:
        return light, 0.0
    light, mask = _cover(rng, light, landmarks)
    hidden = float((mask & face).sum()) / max(1.0, float(face.sum()))
    return light, min(1.0, hidden / FULLY_OCCLUDED)


def lower_resolution(
    rng: np.random.Generator, image: np.ndarray, share: float
) -> tuple[np.ndarray, float]:
    """(image, in a ``share`` of all shots with fewer true pixels; low_resolution label).

    The label is min(1, (112 / lines - 1) / 3), where ``lines`` pixels across survive: 28 or fewer are 1.
    """
    if rng.random() >= share:
        return image, 0.0
    lines = float(np.exp(rng.uniform(np.log(12.0), np.log(56.0))))
    side = max(4, round(lines * image.shape[0] / 112.0))
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return large, float(np.clip((112.0 / lines - 1.0) / 3.0, 0.0, 1.0))


def _cover(
    rng: np.random.Generator, light: np.ndarray, landmarks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    size = light.shape[0]
    unit = size / 112.0
    mask = np.zeros((size, size), np.uint8)
    kind = KINDS[int(rng.integers(len(KINDS)))]
    left, right, nose, mouth_left, mouth_right = landmarks.astype(np.float64)
    brightness = float(np.median(light)) + 0.02
    colour = brightness * np.exp(rng.normal(0, 0.6, 3))
    if kind == "sunglasses":
        colour = np.array([0.02, 0.02, 0.022]) * rng.uniform(0.4, 2.0)
        lens = np.array([rng.uniform(13, 17), rng.uniform(9, 14)]) * unit
        for eye in (left, right):
            _ellipse(mask, eye + np.array([0, 1.5 * unit]), lens)
        cv2.line(mask, _pixel(left), _pixel(right), 1, max(1, round(2 * unit)))
    elif kind == "mask":
        middle = (nose + mouth_left + mouth_right) / 3
        across = max(34 * unit, 1.1 * float(np.linalg.norm(mouth_right - mouth_left)))
        top = nose + (nose - middle) * rng.uniform(0.0, 0.7)
        corners = [[middle[0] - across, top[1] + 5 * unit], [top[0], top[1] - 4 * unit]]
        corners += [[middle[0] + across, top[1] + 5 * unit], [middle[0] + 0.8 * across, size + 2]]
        corners += [[middle[0] - 0.8 * across, size + 2]]
        cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    elif kind == "block":
        half = rng.uniform(12, 33, 2) * unit
        centre = rng.uniform(30, 85, 2) * unit
        cv2.rectangle(mask, _pixel(centre - half), _pixel(centre + half), 1, -1)
    else:
        colour = np.array([0.5, 0.3, 0.22]) * rng.uniform(0.2, 1.2)
        centre = landmarks[int(rng.integers(5))] + rng.normal(0, 6, 2) * unit
        turn = rng.uniform(-50, 50)
        reach = np.array([np.sin(np.deg2rad(turn)), -np.cos(np.deg2rad(turn))])
        _ellipse(mask, centre - reach * 14 * unit, np.array([15, 19]) * unit, turn)
        for finger in range(4):
            offset = (finger - 1.5) * 7.2 * unit * np.array([reach[1], -reach[0]])
            _ellipse(mask, centre + offset + reach * 12 * unit, np.array([3.8, 19]) * unit, turn)
    inside = mask > 0
    y, x = np.mgrid[0:size, 0:size] / size
    slope = 1.0 + rng.normal(0, 0.35) * (x - 0.5) + rng.normal(0, 0.35) * (y - 0.5)
    edge = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.6 * unit)[..., None]
    cover = (colour * np.clip(slope, 0.3, 1.7)[..., None]).astype(np.float32)
    mixed: np.ndarray = light * (1 - edge) + cover * edge
    return mixed, inside


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _ellipse(mask: np.ndarray, centre: np.ndarray, axes: np.ndarray, turn: float = 0.0) -> None:
    cv2.ellipse(mask, _pixel(centre), _pixel(axes), turn, 0, 360, 1, -1)
