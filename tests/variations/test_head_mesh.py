"""Claims about the surface that all heads share."""

from __future__ import annotations

import numpy as np

from urface.variations.head_mesh import RING_SHARES, head_rings, topology
from urface.variations.head_pose import POINTS, mean_face


def test_triangles_cover_the_outline_once_and_face_the_viewer() -> None:
    shape = topology()
    points = np.concatenate([mean_face()[:POINTS], head_rings(mean_face()[shape.outline])])
    a, b, c = (points[shape.triangles[:, i].astype(int), :2] for i in range(3))
    area = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert (area > 0).all()
    x, y = points[-len(shape.outline) :, :2].T
    whole = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
    np.testing.assert_allclose(area.sum(), whole, rtol=1e-6)


def test_mirroring_twice_changes_nothing_and_keeps_each_ring() -> None:
    shape = topology()
    assert (shape.mirror[shape.mirror] == np.arange(len(shape.mirror))).all()
    np.testing.assert_array_equal(shape.outline[shape.across], shape.mirror[shape.outline])
    width = len(shape.outline)
    for ring in range(len(RING_SHARES)):
        first = POINTS + ring * width
        partners = shape.mirror[first : first + width]
        assert set(partners) == set(range(first, first + width))


def test_a_ray_through_a_vertex_leaves_between_the_two_it_names() -> None:
    shape, plane = topology(), mean_face()[:, :2]
    middle = np.array([0.0, -0.1])
    for vertex in range(0, POINTS, 7):
        ends = plane[shape.outline[shape.sector[vertex]]]
        mix = (plane[vertex] - middle) / shape.outwards[vertex] + middle
        side = [np.cross(np.append(end - middle, 0), np.append(mix - middle, 0))[2] for end in ends]
        assert side[0] >= -1e-9 >= side[1] - 2e-9
        line = np.cross(np.append(ends[1] - ends[0], 0), np.append(mix - ends[0], 0))[2]
        assert abs(line) < 1e-6  # on the outline itself
    assert (shape.outwards[shape.outline] > 1 - 1e-9).all()


def test_the_rest_of_the_head_lies_outside_the_face_and_falls_back() -> None:
    shape = topology()
    outline = mean_face()[shape.outline]
    rings = head_rings(outline).reshape(len(RING_SHARES), -1, 3)
    for inner, outer in zip([outline, *rings[:-1]], rings, strict=True):
        assert (np.linalg.norm(outer[:, :2], axis=1) > np.linalg.norm(inner[:, :2], axis=1)).all()
        assert (outer[:, 2] < inner[:, 2]).all()
