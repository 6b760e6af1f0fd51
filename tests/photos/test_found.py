"""Boxes: what they share, and that each face is told once."""

from __future__ import annotations

import numpy as np

from urface.photos.found import FoundFace, each_once, inside, largest_first, overlap


def test_overlap_is_that_of_counted_pixels() -> None:
    random = np.random.default_rng(0)
    corners = random.integers(0, 20, (40, 2))
    boxes = np.concatenate([corners, corners + random.integers(1, 15, (40, 2))], 1)
    y, x = np.mgrid[:40, :40]

    def covers(b: np.ndarray) -> np.ndarray:
        return (x >= b[0]) & (x < b[2]) & (y >= b[1]) & (y < b[3])

    for box in boxes[:5]:
        slow = [(covers(box) & covers(b)).sum() / (covers(box) | covers(b)).sum() for b in boxes]
        np.testing.assert_allclose(overlap(box.astype(float), boxes.astype(float)), slow)


def test_of_boxes_of_one_face_the_surest_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40]], float)
    assert each_once(boxes, np.array([0.6, 0.9, 0.5]), 0.4) == [1, 2]
    assert each_once(np.empty((0, 4)), np.empty(0), 0.4) == []


def test_a_face_that_the_edge_cuts_is_as_large_as_what_is_seen_of_it() -> None:
    photo = np.zeros((100, 200, 3), np.uint8)
    cut = inside(np.array([-50.0, 10, 50, 110]), photo)
    assert cut is not None
    assert cut.tolist() == [0, 10, 50, 100]
    assert inside(np.array([-50.0, 10, -1, 90]), photo) is None
    points = np.zeros((5, 2), np.float32)
    whole = FoundFace(np.float32([100, 10, 180, 90]), points, 0.5)
    assert largest_first([FoundFace(cut, points, 0.9), whole])[0] is whole
