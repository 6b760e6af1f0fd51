"""The lasting traits of one identity, drawn from its own random stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from urface.data.synthetic.shape import shape_basis
from urface.data.synthetic.streams import PERSON, bounded_normal, stream

# Linear-light skin colours from the lightest to the darkest, a path through the human range.
_SKIN = np.array(
    [
        (0.80, 0.575, 0.455),
        (0.70, 0.455, 0.335),
        (0.56, 0.325, 0.215),
        (0.39, 0.205, 0.120),
        (0.235, 0.115, 0.065),
        (0.125, 0.060, 0.036),
        (0.070, 0.036, 0.024),
    ]
)
# Linear-light hair colours: black, dark brown, brown, auburn, red, dark blond, blond.
_HAIR = np.array(
    [
        (0.012, 0.010, 0.010),
        (0.040, 0.022, 0.014),
        (0.095, 0.052, 0.028),
        (0.130, 0.045, 0.020),
        (0.300, 0.095, 0.030),
        (0.260, 0.165, 0.085),
        (0.520, 0.370, 0.190),
    ]
)
_IRIS = np.array(
    [
        (0.035, 0.018, 0.010),
        (0.090, 0.045, 0.020),
        (0.160, 0.110, 0.040),
        (0.120, 0.150, 0.070),
        (0.130, 0.210, 0.290),
        (0.230, 0.270, 0.290),
    ]
)
GREY_HAIR = np.array([0.52, 0.51, 0.50])
HAIR_STYLES = ("bald", "cropped", "short", "fringe", "bob", "long", "tied", "afro")


@dataclass(frozen=True)
class Person:
    """Lasting traits. Colours are linear light; lengths are millimetres on the head."""

    male: bool
    age: float  # years, 16..85
    shape: np.ndarray  # [S] float32, in units of shape_basis()
    skin: np.ndarray  # [3]
    blush: float  # 0..1
    freckles: float  # 0..1
    hair: np.ndarray  # [3], greying included
    brow_hair: np.ndarray  # [3]
    iris: np.ndarray  # [3]
    lips: np.ndarray  # [3]
    hair_style: str
    hair_volume: float
    hair_length: float  # 0..1
    hair_curl: float  # 0..1
    hairline: float  # mm the hairline is raised
    recession: float  # mm its corners are raised further
    parting: float  # -1..1
    beard: float  # 0 clean .. 1 full
    moustache: float
    brow: np.ndarray  # [6] height, thickness, arch, tilt, length, density
    eye: np.ndarray  # [5] half width, opening, lower lid, crease, iris radius
    lip_heights: np.ndarray  # [3] upper, lower, cupid's bow
    texture_key: int


def _along(path: np.ndarray, position: float) -> np.ndarray:
    """The colour at ``position`` 0..1 of a path of colours, mixed in log light as pigments do."""
    at = np.clip(position, 0.0, 1.0) * (len(path) - 1)
    low = min(int(at), len(path) - 2)
    mix = at - low
    return np.exp((1 - mix) * np.log(path[low]) + mix * np.log(path[low + 1]))


def draw_person(seed: int, identity: int) -> Person:
    """The traits of ``identity``: a pure function of its two arguments."""
    rng = stream(seed, identity, PERSON, 0)
    male = bool(rng.random() < 0.5)
    age = float(16 + 69 * rng.beta(1.3, 1.8))
    old = float(np.clip((age - 35) / 45, 0, 1))
    melanin = float(rng.beta(0.95, 1.15))
    shape = _draw_shape(rng, male, old)
    skin = _along(_SKIN, melanin) * np.exp(rng.normal(0, [0.03, 0.05, 0.09]))
    darkest = 0.30 if melanin > 0.6 else 0.62 if melanin > 0.4 else 1.0
    colour = float(rng.random() ** 1.15 * darkest)
    hair = _along(_HAIR, colour)
    grey = float(np.clip((age - 38) / 35 + bounded_normal(rng, 0.25), 0, 1)) if age > 33 else 0.0
    iris_range = 0.35 if melanin > 0.55 else 0.6 if colour < 0.25 else 1.0
    lips = skin * np.array([0.86, 0.58, 0.60]) * np.exp(rng.normal(0, 0.10, 3))
    style, curl = _draw_hair_style(rng, male, old, melanin)
    beard = float(np.clip(rng.normal(0.15, 0.5), 0, 1)) if male and age > 18 else 0.0
    return Person(
        male=male,
        age=age,
        shape=shape,
        skin=np.clip(skin, 0.02, 0.88),
        blush=float(rng.random()),
        freckles=float(max(0.0, rng.normal(-0.4, 0.6)) * (1 - melanin)),
        hair=hair * (1 - grey) + GREY_HAIR * grey,
        brow_hair=(hair * 0.75) * (1 - 0.6 * grey) + 0.4 * GREY_HAIR * 0.6 * grey,
        iris=_along(_IRIS, float(rng.random()) * iris_range),
        lips=np.clip(lips, 0.02, 0.8),
        hair_style=style,
        hair_volume=float(rng.uniform(0.45, 1.5)),
        hair_length=float(rng.random()),
        hair_curl=curl,
        hairline=float(rng.normal(0, 5) + (3 if male else -2)),
        recession=float(max(0.0, rng.normal(6 + 26 * old, 8))) if male else float(3 * rng.random()),
        parting=float(rng.uniform(-1, 1)),
        beard=beard,
        moustache=float(np.clip(beard + rng.normal(0, 0.35), 0, 1)) if male and age > 18 else 0.0,
        brow=_draw_brow(rng, male),
        eye=np.array(
            [
                rng.uniform(13.2, 16.4),
                rng.uniform(4.6, 6.8),
                rng.uniform(3.0, 4.4),
                rng.random(),
                rng.uniform(5.7, 6.5),
            ],
            np.float32,
        ),
        lip_heights=np.array(
            [
                np.clip(rng.normal(6.6 if male else 7.6, 1.6) - 2.0 * old, 3.2, 12),
                np.clip(rng.normal(8.6 if male else 9.6, 1.7) - 2.0 * old, 4.5, 14),
                rng.uniform(0.05, 0.40),
            ]
        ),
        texture_key=int(rng.integers(2**40)),
    )


def _draw_shape(rng: np.random.Generator, male: bool, old: float) -> np.ndarray:
    names, _ = shape_basis()
    shape = {name: bounded_normal(rng, 1.0) for name in names}
    sex = 1.0 if male else -1.0
    for name, shift in (
        ("face_width", 0.3), ("jaw_width", 0.75), ("jaw_square", 0.5), ("chin_length", 0.4),
        ("brow_ridge", 0.9), ("nose_width", 0.35), ("nose_height", 0.3), ("upper_lip", -0.4),
        ("lower_lip", -0.3), ("brow_height", -0.6), ("neck_width", 1.0), ("cheek_fat", -0.2),
        ("forehead_slope", 0.5), ("nose_length", 0.3), ("eye_height", 0.0),
    ):  # fmt: skip
        shape[name] += shift * sex
    for name, shift in (
        ("folds", 2.5), ("eye_bags", 2.5), ("jowls", 2.2), ("mouth_corners", -1.0),
        ("upper_lip", -0.8), ("nose_length", 0.6), ("cheek_fat", -0.5), ("ears_out", 0.4),
    ):  # fmt: skip
        shape[name] += shift * old
    for name in ("chin_cleft", "folds", "eye_bags", "jowls"):  # these only add, they do not invert
        shape[name] = max(0.0, shape[name])
    return np.array([shape[name] for name in names], np.float32)


def _draw_hair_style(
    rng: np.random.Generator, male: bool, old: float, melanin: float
) -> tuple[str, float]:
    if male:
        weights = np.array([0.08 + 0.22 * old, 0.26, 0.38, 0.14, 0.02, 0.06, 0.02, 0.04])
    else:
        weights = np.array([0.0, 0.03, 0.10, 0.14, 0.22, 0.26, 0.18, 0.06])
    weights[7] *= 3.0 * melanin
    style = HAIR_STYLES[int(rng.choice(len(weights), p=weights / weights.sum()))]
    curl = float(np.clip(rng.beta(0.9, 2.2) + 0.3 * melanin * rng.random(), 0, 1))
    return style, 1.0 if style == "afro" else curl


def _draw_brow(rng: np.random.Generator, male: bool) -> np.ndarray:
    return np.array(
        [
            rng.normal(0, 1.6),
            np.clip(rng.normal(3.1 if male else 2.1, 0.7), 1.1, 5.0),
            np.clip(rng.normal(2.0 if male else 4.0, 1.8), -1.5, 8.0),
            rng.normal(0, 1.2),
            np.clip(rng.normal(1.0, 0.09), 0.8, 1.2),
            rng.uniform(0.55, 1.0),
        ]
    )
