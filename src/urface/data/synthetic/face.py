"""One synthetic face: person, shot, geometry, pixels and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from urface.data.synthetic import camera, picture, raster, shade
from urface.data.synthetic.degrade import lower_resolution, occlude
from urface.data.synthetic.expression import expression_basis
from urface.data.synthetic.hair import (
    fray,
    hair_coordinates,
    hair_shell,
    hair_triangles,
    strand_pattern,
)
from urface.data.synthetic.head import head_grid
from urface.data.synthetic.person import Person, draw_person
from urface.data.synthetic.shape import shape_basis
from urface.data.synthetic.shot import DEGRADE, PICTURE, Shot, ShotStyle, draw_shot
from urface.data.synthetic.skin import BOTTOM, HEIGHT, THETA_RANGE, TOP, WIDTH, paint_skin
from urface.data.synthetic.streams import stream
from urface.types import UserError

VARIATION_LABELS = ("low_resolution", "occlusion", "pose", "smiling", "young", "male")
RENDERER_VERSION = 1  # raise it whenever the same address would give other pixels
SUPERSAMPLE = 1.5
SHADOW_SIZE, SHADOW_SCALE = 88, 0.3  # pixels, pixels per mm: reaches 147 mm around the head
SMALLEST, LARGEST = 32, 256


@dataclass(frozen=True)
class SyntheticFace:
    """One rendered face and the truth about it.

    image      [size, size, 3] RGB uint8, aligned to the five-point template
    labels     the six of VARIATION_LABELS, each 0..1
    yaw, pitch, roll   degrees; yaw > 0 looks to the viewer's right, pitch > 0 up, roll > 0 clockwise.
               The aligner takes the head's own roll away: ``roll`` is what remains in the image.
    landmarks  [5, 2] float32 (x, y) in pixels, the template's order; true also where hidden
    """

    image: np.ndarray
    labels: dict[str, float]
    yaw: float
    pitch: float
    roll: float
    landmarks: np.ndarray


@dataclass(frozen=True)
class _Model:
    """What all shots of an identity share."""

    person: Person
    points: np.ndarray  # [V, 3] the head at rest
    openness: np.ndarray  # [V] how much of the sky each vertex sees, 0..1
    texture: np.ndarray  # [H, W, 5]
    skull: tuple[float, float, float]  # wider by, taller by mm, deeper by


def render_face(
    seed: int, identity: int, shot: int, size: int = 112, *, style: ShotStyle | None = None
) -> SyntheticFace:
    """The face at one address; the same bytes in any order, process and batch.

    seed, identity, shot: integers from 0 to 2**62 - 1. size: pixels, 32..256. The size changes no draw,
    so labels and pose agree between sizes and landmarks scale with it. Raises UserError.
    """
    if not SMALLEST <= size <= LARGEST:
        raise UserError(f"size must be from {SMALLEST} to {LARGEST} pixels, got {size}")
    if shot < 0:
        raise UserError(f"shot must be 0 or more, got {shot}")
    style = style or ShotStyle()
    model = _model(seed, identity)
    taken = draw_shot(model.person, seed, identity, shot, style)
    light, covered, on_face, landmarks = _render(model, taken, size)
    rng = stream(seed, identity, shot, PICTURE)
    behind = picture.backdrop(rng, light.shape[0], style.plain)
    light += np.where(covered[..., None], np.float32(0), behind)
    light = cv2.resize(light, (size, size), interpolation=cv2.INTER_AREA)
    seen = cv2.resize(on_face.view(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST) > 0
    lossy = stream(seed, identity, shot, DEGRADE)
    light, occlusion = occlude(lossy, light, seen, landmarks, style)
    image = picture.take_picture(rng, light, seen, style.plain)
    image, low_resolution = lower_resolution(lossy, image, style)
    labels = {
        "low_resolution": low_resolution,
        "occlusion": occlusion,
        "pose": float(min(1.0, np.hypot(taken.yaw, taken.pitch) / 60.0)),
        "smiling": taken.smile,
        "young": float(1.0 / (1.0 + np.exp((model.person.age - 42.0) / 6.0))),
        "male": float(model.person.male),
    }
    return SyntheticFace(image, labels, taken.yaw, taken.pitch, taken.roll, landmarks)


@lru_cache(maxsize=4)
def _model(seed: int, identity: int) -> _Model:
    person = draw_person(seed, identity)
    names, basis = shape_basis()
    grid = head_grid()
    points = grid.mean + np.tensordot(person.shape, basis, 1)
    unit = dict(zip(names, person.shape.tolist(), strict=True))
    skull = (
        1 + 0.045 * unit["face_width"] + 0.02 * unit["temple_width"],
        4.0 * unit["forehead_height"],
        1 + 0.04 * unit["depth"],
    )
    return _Model(person, points, _openness(points), paint_skin(person), skull)


def _openness(points: np.ndarray) -> np.ndarray:
    """How much of the sky a vertex sees, from how far it lies below the smoothed surface around it."""
    grid = head_grid()
    depth = points[:, 2].reshape(grid.rows, grid.columns)
    sunk = np.zeros_like(depth)
    for radius in (2, 5):
        sunk += cv2.GaussianBlur(depth, (0, 0), radius) - depth
    hollow = np.clip(sunk.ravel() * grid.front, 0, 14)
    return np.exp(-0.07 * hollow).astype(np.float32)


@lru_cache(maxsize=1)
def _fixed() -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(skin attributes, hair attributes, triangles of both, number of skin triangles)."""
    grid = head_grid()
    u = np.clip((grid.theta + THETA_RANGE) / (2 * THETA_RANGE), 0, 1) * (WIDTH - 1)
    v = np.clip((TOP - grid.cy) / (TOP - BOTTOM), 0, 1) * (HEIGHT - 1)
    face = (np.cos(grid.theta) > 0.2) * 1.0
    skin = np.stack([u, v, grid.cx, grid.cy, 0 * u, face], -1).astype(np.float32)
    coordinates = hair_coordinates()
    hair = np.zeros((len(coordinates), 6), np.float32)
    hair[:, :2] = coordinates
    triangles = np.concatenate([grid.triangles, hair_triangles() + len(u)])
    return skin, hair, triangles.astype(np.int32), len(grid.triangles)


def _render(
    model: _Model, shot: Shot, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(linear light, coverage, face mask) at the rendering size, and landmarks [5, 2] at ``size``."""
    grid = head_grid()
    skin_attributes, hair_attributes, triangles, skin_triangles = _fixed()
    moved = model.points + np.tensordot(shot.expression, expression_basis(), 1)
    attributes = skin_attributes.copy()
    attributes[:, 4] = model.openness
    normals = raster.grid_normals(moved, grid.triangles)
    shell = hair_shell(model.person, shot.hair, model.skull)
    if shell is None:
        triangles = grid.triangles
    else:
        shell_normals = raster.grid_normals(shell, hair_triangles())
        moved = np.concatenate([moved, shell])
        normals = np.concatenate([normals, shell_normals])
        attributes = np.concatenate([attributes, hair_attributes])
    side = round(size * SUPERSAMPLE)
    turn = camera.rotation(shot.yaw, shot.pitch)
    points = moved[grid.landmark_index] @ turn.T
    plane = camera.project(points, shot.distance)
    fit = camera.aligned(plane, size, shot.roll, shot.zoom, shot.shift)
    landmarks = (plane @ fit[:, :2].T + fit[:, 2]).astype(np.float32)
    screen, turned, lit = (np.empty_like(moved) for _ in range(3))
    camera.place(
        moved, normals, turn, shot.distance, fit * (side / size), _lamp_view(shot.lamp),
        screen, turned, lit,
    )  # fmt: skip
    depth = np.full((side, side), raster.FAR, np.float32)
    seen = np.full((side, side), -1, np.int32)
    weights = np.empty((side, side, 2), np.float32)
    raster.rasterise(
        screen, triangles, skin_triangles, hair_coordinates_cached(), len(grid.cx),
        strand_pattern(), fray(shot.hair.style), depth, seen, weights,
    )  # fmt: skip
    shadow = np.full((SHADOW_SIZE, SHADOW_SIZE), raster.FAR, np.float32)
    raster.shadow_map(lit, shadow_triangles, shadow)
    image = np.zeros((side, side, 3), np.float32)
    shade.shade(
        seen, weights, triangles, skin_triangles, turned, attributes, lit, shadow,
        model.texture, strand_pattern(), _face_numbers(model.person, shot),
        _colours(model.person, shot), shot.lamp.astype(np.float32), shot.shadow, image,
    )  # fmt: skip
    covered = seen >= 0
    on_face = _is_face()[seen]  # -1 (nothing seen) reads the last entry, which is False
    return image, covered, on_face, landmarks


def _lamp_view(lamp: np.ndarray) -> np.ndarray:
    """[3, 4] camera frame to the lamp's: shadow-map pixels, and mm of depth that are larger nearer."""
    right = np.cross([0.0, 1.0, 0.0], lamp)
    right = right / np.linalg.norm(right)
    up = np.cross(lamp, right)
    middle = SHADOW_SIZE / 2
    return np.column_stack(
        [np.stack([right * SHADOW_SCALE, -up * SHADOW_SCALE, lamp]), [middle, middle, 0.0]]
    )


def _face_numbers(person: Person, shot: Shot) -> np.ndarray:
    numbers = np.zeros(shade.FACE_PARAMETERS, np.float32)
    numbers[: shade.IRIS_RADIUS + 1] = person.eye
    numbers[shade.EYE_OPEN] = shot.eye_open
    numbers[shade.GAZE_X], numbers[shade.GAZE_Y] = shot.gaze
    numbers[shade.LASHES] = (0.25 if person.male else 0.7) + 0.6 * shot.makeup
    numbers[shade.LID_TINT] = 0.55 * shot.makeup
    numbers[shade.MOUTH_GAP], numbers[shade.TEETH] = shot.mouth_gap, shot.teeth
    numbers[shade.LIP_TINT] = 0.75 * shot.makeup
    numbers[shade.STUBBLE] = shot.stubble
    numbers[shade.OIL], numbers[shade.COLLAR] = shot.oil, shot.collar
    return numbers


def _colours(person: Person, shot: Shot) -> np.ndarray:
    colours = np.zeros((shade.COLOURS, 3), np.float32)
    colours[shade.IRIS] = person.iris
    colours[shade.LIPSTICK], colours[shade.LID] = shot.lipstick, shot.lid
    colours[shade.HAIR] = np.clip(person.hair * shot.hair_gain, 0.003, 0.9)
    colours[shade.CLOTH], colours[shade.TAN] = shot.cloth, shot.tan
    colours[shade.LAMP], colours[shade.SKY] = shot.lamp_colour, shot.sky
    colours[shade.GROUND] = shot.ground
    return colours
