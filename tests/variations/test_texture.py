"""Claims about where the vertices of a turned head take their colours."""

from __future__ import annotations

import numpy as np

from turned_head import EARS_APART, SIZE, head_of
from urface.variations.head_mesh import head_rings, topology
from urface.variations.head_pose import POINTS, mean_face
from urface.variations.texture import INSETS, texture
from urface.variations.view import GAIN, SHARE, THERE, facing

SHAPE = topology()
WIDTH = len(SHAPE.outline)


def parts() -> tuple[np.ndarray, np.ndarray]:
    """Where the vertices of the head in ``head_of()`` lie in the picture, and how they face us."""
    points = np.concatenate([mean_face()[:POINTS], head_rings(mean_face()[SHAPE.outline])])
    pixels = head_of().mesh[0, :2] + (points - mean_face()[0])[:, :2] * EARS_APART * [1, -1]
    return pixels, facing(points, SHAPE.triangles)


def filled(picture: np.ndarray, side: float, amount: float, behind: int = 0) -> np.ndarray:
    pixels, front = parts()
    backdrop = np.full((SIZE, SIZE, 3), behind, np.uint8)
    sides = mean_face()[:POINTS, 0] * side
    sides = np.concatenate([sides, np.tile(sides[SHAPE.outline], 3)])
    return texture(picture, backdrop, SHAPE, pixels, front, sides, EARS_APART, amount)


def test_without_a_turn_every_vertex_shows_what_it_has() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    got = filled(picture, 1.0, 0.0)
    np.testing.assert_allclose(got[:, :2], parts()[0], atol=1e-4)
    assert (got[:, SHARE] == 0).all()
    assert (got[:, THERE] == 1).all()


def test_a_symmetric_face_that_looks_ahead_needs_nothing_from_its_other_half() -> None:
    picture = np.full((SIZE, SIZE, 3), 128, np.uint8)
    got = filled(picture, 1.0, 1.0)
    assert got[:, SHARE].max() < 0.2
    np.testing.assert_allclose(got[:, GAIN], 1.0, atol=1e-6)


def test_colours_at_the_edge_come_from_where_there_is_only_skin() -> None:
    """A slow loop over the outline: a dark band of known width around the face must not be seen."""
    pixels, _ = parts()
    edge = pixels[SHAPE.outline]
    inward = edge.mean(0) - edge
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    y, x = np.mgrid[:SIZE, :SIZE]
    near = np.min(
        [np.hypot(x + 0.5 - a, y + 0.5 - b) for a, b in edge], axis=0
    )  # pixels from the outline
    picture = np.where(near[..., None] < 3.0, 20, 180).astype(np.uint8).repeat(3, 2)
    got = filled(picture, 1.0, 1.0)
    for place, vertex in enumerate(SHAPE.outline):
        if abs(inward[place, 1]) > 0.2:
            continue  # hair at the top, no room at the chin
        moved = np.linalg.norm(got[vertex, :2] - pixels[vertex])
        assert INSETS[0] * EARS_APART < moved <= INSETS[-1] * EARS_APART * 1.01
        assert picture[int(got[vertex, 1]), int(got[vertex, 0]), 0] == 180


def test_a_ring_that_shows_only_backdrop_is_not_there_but_the_top_of_a_head_is() -> None:
    picture = np.full((SIZE, SIZE, 3), 90, np.uint8)
    got = filled(picture, 1.0, 1.0, behind=90)[POINTS:, THERE].reshape(-1, WIDTH)
    outline = mean_face()[SHAPE.outline]
    assert (got[:, np.abs(outline[:, 1]) < 0.1] == 0).all()
    assert (got[:, outline[:, 1] > 0.45] == 1).all()
    assert (filled(picture, 1.0, 1.0, behind=10)[:, THERE] == 1).all()
