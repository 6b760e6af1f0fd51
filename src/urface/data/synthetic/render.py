"""A person in a shot, as light: geometry, visibility, shading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from urface.data.synthetic import camera, raster, shade
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
from urface.data.synthetic.shot import Shot
from urface.data.synthetic.skin import BOTTOM, HEIGHT, THETA_RANGE, TOP, WIDTH, paint_skin

SUPERSAMPLE = 1.5
SHADOW_SIZE, SHADOW_SCALE = 88, 0.3  # pixels, pixels per mm: reaches 147 mm around the head
FACE_BOTTOM = -120.0  # canonical y below which a pixel is neck, not face


@dataclass(frozen=True)
class Model:
    """What all shots of an identity share."""

    person: Person
    points: np.ndarray  # [V, 3] float32, the head at rest, mm
    attributes: np.ndarray  # [V + hair, 6] float32, see shade.shade
    texture: np.ndarray  # [HEIGHT, WIDTH, 5] float32
    skull: tuple[float, float, float]  # wider by a factor, taller by mm, deeper by a factor


@dataclass(frozen=True)
class Light:
    """A rendered head before any camera, at SUPERSAMPLE times the size of the image."""

    image: np.ndarray  # [S, S, 3] float32 linear light, 0 where nothing is
    covered: np.ndarray  # [S, S] bool, head or hair
    on_face: np.ndarray  # [S, S] bool, skin above the neck that the viewer sees
    landmarks: np.ndarray  # [5, 2] float32 in pixels of the final image


@dataclass(frozen=True)
class _Mesh:
    """What all heads share, skin first and hair after it."""

    attributes: np.ndarray
    triangles: np.ndarray
    skin_triangles: int
    shadow_triangles: np.ndarray
    shadow_skin_triangles: int
    is_face: np.ndarray  # [T + 1] bool; the last entry stands for "no triangle" (-1)


@lru_cache(maxsize=1)
def _mesh() -> _Mesh:
    grid = head_grid()
    u = np.clip((grid.theta + THETA_RANGE) / (2 * THETA_RANGE), 0, 1) * (WIDTH - 1)
    v = np.clip((TOP - grid.cy) / (TOP - BOTTOM), 0, 1) * (HEIGHT - 1)
    face = (np.cos(grid.theta) > 0.2) * 1.0
    skin = np.stack([u, v, grid.cx, grid.cy, 0 * u, face], -1)
    hair = np.zeros((len(hair_coordinates()), 6))
    hair[:, :2] = hair_coordinates()
    triangles = np.concatenate([grid.triangles, hair_triangles() + len(u)])
    # A quarter of the vertices throws the same shadow on so coarse a map.
    corner = np.arange(len(u)).reshape(grid.rows, grid.columns)[::2, ::2]
    a, b, d, e = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    coarse = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, d, b), (b, d, e))])
    is_face = np.zeros(len(triangles) + 1, bool)
    is_face[: len(grid.triangles)] = grid.cy[grid.triangles[:, 0]] > FACE_BOTTOM
    return _Mesh(
        np.concatenate([skin, hair]).astype(np.float32),
        triangles.astype(np.uint32),
        len(grid.triangles),
        np.concatenate([coarse, hair_triangles() + len(u)]).astype(np.uint32),
        len(coarse),
        is_face,
    )


@lru_cache(maxsize=4)
def model_of(seed: int, identity: int) -> Model:
    """The model of one identity; the last few are kept, since shots are asked for in a row."""
    person = draw_person(seed, identity)
    names, basis = shape_basis()
    points = raster.blend(head_grid().mean, person.shape, basis)
    unit = dict(zip(names, person.shape.tolist(), strict=True))
    skull = (
        1 + 0.045 * unit["face_width"] + 0.02 * unit["temple_width"],
        4.0 * unit["forehead_height"],
        1 + 0.04 * unit["depth"],
    )
    attributes = _mesh().attributes.copy()
    attributes[: len(points), 4] = _openness(points)
    return Model(person, points, attributes, paint_skin(person), skull)


def _openness(points: np.ndarray) -> np.ndarray:
    """How much of the sky a vertex sees, from how far it lies below the smoothed surface around it."""
    grid = head_grid()
    depth = points[:, 2].reshape(grid.rows, grid.columns)
    sunk = np.zeros_like(depth)
    for radius in (2, 5):
        sunk += cv2.GaussianBlur(depth, (0, 0), radius) - depth
    hollow = np.clip(sunk.ravel() * grid.front, 0, 14)
    openness: np.ndarray = np.exp(-0.07 * hollow)
    return openness


def render(model: Model, shot: Shot, size: int) -> Light:
    """The light that ``shot`` of ``model`` sends towards the camera, aligned to a crop of ``size``."""
    grid, mesh = head_grid(), _mesh()
    moved = raster.blend(model.points, shot.expression, expression_basis())
    normals = raster.grid_normals(moved, grid.triangles)
    shell = hair_shell(model.person, shot.hair, model.skull)
    triangles, shadow_triangles = mesh.triangles, mesh.shadow_triangles
    if shell is None:
        triangles = triangles[: mesh.skin_triangles]
        shadow_triangles = shadow_triangles[: mesh.shadow_skin_triangles]
    else:
        normals = np.concatenate([normals, raster.grid_normals(shell, hair_triangles())])
        moved = np.concatenate([moved, shell])
    turn = camera.rotation(shot.yaw, shot.pitch)
    plane = camera.project(moved[grid.landmark_index] @ turn.T, shot.distance)
    fit = camera.aligned(plane, size, shot.roll, shot.zoom, shot.shift)
    landmarks = (plane @ fit[:, :2].T + fit[:, 2]).astype(np.float32)

    side = round(size * SUPERSAMPLE)
    screen, turned, lit = (np.empty_like(moved) for _ in range(3))
    camera.place(
        moved, normals, turn, shot.distance, fit * (side / size), _lamp_view(shot.lamp),
        screen, turned, lit,
    )  # fmt: skip
    depth = np.full((side, side), raster.FAR, np.float32)
    seen = np.full((side, side), -1, np.int32)
    weights = np.empty((side, side, 2), np.float32)
    raster.rasterise(
        screen, triangles, mesh.skin_triangles, hair_coordinates(), len(grid.cx),
        strand_pattern(), fray(shot.hair.style), depth, seen, weights,
    )  # fmt: skip
    shadow = np.full((SHADOW_SIZE, SHADOW_SIZE), raster.FAR, np.float32)
    raster.shadow_map(lit, shadow_triangles, shadow)
    image = np.zeros((side, side, 3), np.float32)
    shade.shade(
        seen, weights, triangles, mesh.skin_triangles, turned, model.attributes, lit, shadow,
        model.texture, strand_pattern(), _face_numbers(model.person, shot),
        _colours(model.person, shot), shot.lamp.astype(np.float32), shot.shadow, image,
    )  # fmt: skip
    return Light(image, seen >= 0, mesh.is_face[seen], landmarks)


def _lamp_view(lamp: np.ndarray) -> np.ndarray:
    """[3, 4] camera frame to the lamp's: shadow-map pixels, and mm of depth that are larger nearer."""
    right = np.cross([0.0, 1.0, 0.0], lamp)
    right = right / np.linalg.norm(right)
    up = np.cross(lamp, right)
    frame = np.stack([right * SHADOW_SCALE, -up * SHADOW_SCALE, lamp])
    return np.column_stack([frame, [SHADOW_SIZE / 2, SHADOW_SIZE / 2, 0.0]])


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
