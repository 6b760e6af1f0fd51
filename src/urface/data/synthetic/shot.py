"""What changes from one picture of a person to the next, and how a caller fixes parts of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.data.synthetic.hair import HairCut
from urface.data.synthetic.person import Person
from urface.data.synthetic.streams import bounded_normal, stream
from urface.types import UserError

TRAITS, PICTURE, OCCLUSION, RESOLUTION = range(1, 5)  # streams of a shot
YAW_LIMIT, PITCH_LIMIT = 80.0, 40.0


@dataclass(frozen=True)
class ShotStyle:
    """Which shots to make. None leaves a trait to chance; a value fixes it for every shot.

    low_resolution_share, occlusion_share   0..1: how many shots carry the true variation
    max_yaw     degrees; the tail of turned heads is drawn in to this
    frontal     only |yaw| <= 15 and |pitch| <= 10
    yaw, pitch  degrees, within +-80 and +-40; roll is what remains in the aligned image
    light       (azimuth, elevation) of the lamp in degrees, 0 azimuth in front, > 0 from the right
    smile, mouth_open   0..1
    plain       even light, grey backdrop, neutral camera: for figures and for tests

    Fixing one trait leaves all others of the same (seed, identity, shot) as they were.
    """

    low_resolution_share: float = 0.0
    occlusion_share: float = 0.0
    max_yaw: float | None = None
    frontal: bool = False
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    light: tuple[float, float] | None = None
    smile: float | None = None
    mouth_open: float | None = None
    plain: bool = False

    def __post_init__(self) -> None:
        for name in ("low_resolution_share", "occlusion_share", "smile", "mouth_open"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise UserError(f"{name} must be from 0 to 1, got {value}")
        limits = (("max_yaw", 0, YAW_LIMIT), ("yaw", -YAW_LIMIT, YAW_LIMIT))
        for name, low, high in (*limits, ("pitch", -PITCH_LIMIT, PITCH_LIMIT), ("roll", -180, 180)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UserError(f"{name} must be from {low:g} to {high:g} degrees, got {value}")


@dataclass(frozen=True)
class Shot:
    """One draw of everything momentary. Angles in degrees, lengths in mm, colours linear."""

    yaw: float
    pitch: float
    roll: float
    expression: np.ndarray  # [E] in the order of EXPRESSIONS
    smile: float
    mouth_gap: float
    teeth: float
    eye_open: float
    gaze: tuple[float, float]
    lamp: np.ndarray  # [3] unit vector towards the lamp
    lamp_colour: np.ndarray  # [3]
    sky: np.ndarray
    ground: np.ndarray
    shadow: float
    hair: HairCut
    hair_gain: np.ndarray  # [3]
    tan: np.ndarray  # [3]
    stubble: float
    makeup: float
    lipstick: np.ndarray
    lid: np.ndarray
    cloth: np.ndarray
    collar: float
    oil: float
    distance: float  # mm from the camera to the head
    shift: tuple[float, float]  # alignment error, share of the image side
    zoom: float


def draw_shot(person: Person, seed: int, identity: int, shot: int, style: ShotStyle) -> Shot:
    """The momentary traits of one shot. No draw depends on the style, so overrides stay local."""
    rng = stream(seed, identity, shot, TRAITS)
    yaw, pitch, roll = _draw_pose(rng, style)
    light = _draw_light(rng, style)
    face = _draw_expression(rng, person, style)
    look = _draw_look(rng, person)
    distance = float(np.exp(rng.uniform(np.log(420.0), np.log(2800.0))))
    shift = (bounded_normal(rng, 0.009), bounded_normal(rng, 0.009))
    zoom = 1.0 + bounded_normal(rng, 0.018)
    if style.plain:
        distance, shift, zoom = 1200.0, (0.0, 0.0), 1.0
    return Shot(
        yaw=yaw, pitch=pitch, roll=roll, **face, **light, **look,
        distance=distance, shift=shift, zoom=zoom,
    )  # fmt: skip


def _draw_pose(rng: np.random.Generator, style: ShotStyle) -> tuple[float, float, float]:
    kind = rng.random()
    narrow, wide = bounded_normal(rng, 9.0), bounded_normal(rng, 24.0)
    even, again = float(rng.uniform(-68.0, 68.0)), float(rng.uniform(-1.0, 1.0))
    yaw = narrow if kind < 0.62 else wide if kind < 0.88 else even
    pitch = bounded_normal(rng, 5.5 if rng.random() < 0.8 else 13.0)
    roll = bounded_normal(rng, 1.8)
    if style.frontal:
        yaw, pitch = float(np.clip(yaw, -15, 15)), float(np.clip(pitch, -10, 10))
    if style.max_yaw is not None and abs(yaw) > style.max_yaw:
        yaw = again * style.max_yaw
    if style.plain:
        roll = 0.0
    return (
        yaw if style.yaw is None else float(style.yaw),
        pitch if style.pitch is None else float(style.pitch),
        roll if style.roll is None else float(style.roll),
    )


def _draw_light(rng: np.random.Generator, style: ShotStyle) -> dict[str, Any]:
    azimuth = bounded_normal(rng, 42.0)
    elevation = float(rng.uniform(-5.0, 65.0))
    strength = float(rng.uniform(0.45, 1.25))
    ambient = float(rng.uniform(0.28, 0.85))
    warmth, sky_warmth = bounded_normal(rng, 0.16), bounded_normal(rng, 0.12)
    floor = float(rng.uniform(0.35, 0.9))
    shadow = float(rng.uniform(0.35, 0.95))
    if style.plain:
        azimuth, elevation, strength, ambient = 20.0, 30.0, 0.75, 0.55
        warmth, sky_warmth, floor, shadow = 0.0, 0.0, 0.7, 0.6
    if style.light is not None:
        azimuth, elevation = style.light
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    lamp = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    sky = ambient * np.exp(sky_warmth * np.array([1.0, 0.1, -1.0]))
    return {
        "lamp": lamp,
        "lamp_colour": strength * np.exp(warmth * np.array([1.0, 0.1, -1.0])),
        "sky": sky,
        "ground": floor * sky * np.array([1.04, 1.0, 0.94]),
        "shadow": shadow,
    }


def _draw_expression(rng: np.random.Generator, person: Person, style: ShotStyle) -> dict[str, Any]:
    smile = float(rng.uniform(0.0, 0.12) if rng.random() < 0.5 else rng.beta(2.2, 1.5))
    opening = float(rng.beta(1.2, 2.5)) if rng.random() < 0.25 else 0.0
    parted = float(rng.random())
    brow, frown = max(0.0, bounded_normal(rng, 0.5)), max(0.0, bounded_normal(rng, 0.45))
    pucker, smirk = max(0.0, bounded_normal(rng, 0.22)), bounded_normal(rng, 0.10)
    wide = float(rng.normal(1.0, 0.11)) if rng.random() > 0.03 else 0.08
    gaze = (bounded_normal(rng, 1.3), bounded_normal(rng, 0.5))
    teeth = float(rng.uniform(0.6, 1.4))
    if style.plain:
        brow = frown = pucker = smirk = opening = parted = 0.0
        wide, gaze = 1.0, (0.0, 0.0)
    smile = smile if style.smile is None else float(style.smile)
    opening = opening if style.mouth_open is None else float(style.mouth_open)
    pucker = pucker * (1.0 - smile)
    jaw = 1.8 * opening + 0.55 * max(0.0, smile - 0.35) * (parted > 0.3)
    old = float(np.clip((person.age - 40) / 45, 0, 1))
    return {
        "expression": np.array([smile, jaw, brow, frown, pucker, smirk], np.float32),
        "smile": smile,
        "mouth_gap": 12.0 * jaw + 1.5 * smile * (jaw > 0),
        "teeth": (2.0 + 6.0 * smile) * teeth,
        "eye_open": float(np.clip(wide * (1 - 0.22 * smile - 0.16 * old) + 0.12 * brow, 0.03, 1.2)),
        "gaze": gaze,
    }


def _draw_look(rng: np.random.Generator, person: Person) -> dict[str, Any]:
    cut_style = person.hair_style
    tied = rng.random()
    if cut_style in ("long", "bob") and tied < 0.22:
        cut_style = "tied"
    elif cut_style == "tied" and tied < 0.5:
        cut_style = "long"
    elif cut_style == "short" and tied < 0.12:
        cut_style = "cropped"
    hair = HairCut(
        style=cut_style,
        volume=person.hair_volume * float(np.exp(bounded_normal(rng, 0.18))),
        length=float(np.clip(person.hair_length + bounded_normal(rng, 0.2), 0, 1)),
        parting=person.parting + bounded_normal(rng, 0.25),
        lift=bounded_normal(rng, 2.5),
    )
    made_up = 0.75 if not person.male else 0.03
    makeup = float(rng.random()) if rng.random() < made_up else 0.0
    red = np.array([0.50, 0.07, 0.10]) * np.exp(rng.normal(0, [0.35, 0.5, 0.45]))
    lid = np.array([0.20, 0.13, 0.13]) * np.exp(rng.normal(0, 0.45, 3))
    return {
        "hair": hair,
        "hair_gain": np.exp(rng.normal(0, [0.03, 0.05, 0.07]) + rng.normal(0, 0.15)),
        "tan": np.exp(rng.normal(0, 0.07) * np.array([0.6, 1.0, 1.2]) + rng.normal(0, 0.02, 3)),
        "stubble": float(rng.random() ** 2 * 0.45) if person.male and person.age > 17 else 0.0,
        "makeup": makeup,
        "lipstick": np.clip(red, 0.02, 0.7),
        "lid": np.clip(lid * (0.3 + person.skin.mean()), 0.01, 0.6),
        "cloth": np.clip(np.exp(rng.normal(-1.8, 1.0) + rng.normal(0, 0.5, 3)), 0.01, 0.8),
        "collar": float(rng.uniform(-14.0, 22.0)),
        "oil": float(rng.beta(1.3, 2.0)),
    }
