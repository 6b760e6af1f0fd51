"""Claims about drawing triangles, against a slow plain loop."""

from __future__ import annotations

import numpy as np

from urface.variations.view import OVERLAP, rasterise


def test_the_nearest_triangle_that_faces_us_is_seen_at_every_pixel() -> None:
    random = np.random.default_rng(2)
    screen = random.uniform(-6, 36, (40, 3)).astype(np.float32)
    triangles = np.array([random.permutation(40)[:3] for _ in range(60)], np.uint32)
    depth, seen = np.empty((30, 28), np.float32), np.empty((30, 28), np.int16)
    weights = np.zeros((60, 6), np.float32)
    rasterise(screen, triangles, depth, seen, weights)
    faces = []
    for t, corners in enumerate(screen[triangles].astype(float)):
        edges = (corners[1:] - corners[0]).T
        if np.linalg.det(edges[:2]) < 0:  # y points down: it faces us
            faces.append((t, corners[0], np.linalg.inv(edges[:2]), edges[2]))
    different = 0
    for row in range(30):
        for column in range(28):
            best, nearest, on_edge = -1, -np.inf, False
            for t, first, inverse, rise in faces:
                w = inverse @ (np.array([column, row]) + 0.5 - first[:2])
                slopes = np.array([*inverse, -inverse.sum(0)])
                pixels = np.array([*w, 1 - w.sum()]) / np.linalg.norm(slopes, axis=1)
                on_edge |= bool(np.abs(pixels).min() < 2 * OVERLAP)
                z = first[2] + rise @ w
                if w.min() >= 0 and w.sum() <= 1 and z > nearest:
                    best, nearest = t, z
            different += not on_edge and best != seen[row, column]
            if best == seen[row, column] >= 0:
                x, y, *slopes = weights[best]
                assert abs(depth[row, column] - nearest) < 1e-2
                at = np.array([column + 0.5 - x, row + 0.5 - y])
                corners = screen[triangles[best], :2].astype(float)
                w1, w2 = slopes[:2] @ at, slopes[2:] @ at
                place = corners[0] * (1 - w1 - w2) + corners[1] * w1 + corners[2] * w2
                np.testing.assert_allclose(place, [column + 0.5, row + 0.5], atol=1e-2)
    assert (seen >= 0).mean() > 0.5
    assert different == 0


def test_neighbours_leave_no_gap_between_them() -> None:
    """A fan of slim triangles about a point: every pixel inside belongs to one of them."""
    turn = np.linspace(0, 2 * np.pi, 181)[:-1]
    rim = np.stack([32 + 40 * np.cos(turn), 32 - 40 * np.sin(turn), np.zeros(180)], 1)
    screen = np.concatenate([[[31.7, 32.3, 0.0]], rim]).astype(np.float32)
    around = np.arange(180)
    triangles = np.stack([np.zeros(180, int), around + 1, (around + 1) % 180 + 1], 1)
    depth, seen = np.empty((64, 64), np.float32), np.empty((64, 64), np.int16)
    rasterise(screen, triangles.astype(np.uint32), depth, seen, np.empty((180, 6), np.float32))
    y, x = np.mgrid[:64, :64] + 0.5
    assert (seen[np.hypot(x - 32, y - 32) < 39] >= 0).all()
