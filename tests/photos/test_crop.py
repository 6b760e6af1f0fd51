"""Alignment: the similarity is the least-squares one, and large faces are averaged, not sampled."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from photos.scenes import face, points_of, scene
from urface.photos.crop import alignment, crop_face
from urface.template import TEMPLATE


def test_alignment_is_the_least_squares_similarity() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        points = TEMPLATE * random.uniform(0.2, 5) + random.normal(0, 4, (5, 2))
        turn = random.uniform(-np.pi, np.pi)
        points = points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        rows, wanted = [], []  # of a x - b y + c and b x + a y + d, written out
        for (x, y), (u, v) in zip(points, TEMPLATE, strict=True):
            rows += [[x, -y, 1, 0], [y, x, 0, 1]]
            wanted += [u, v]
        a, b, c, d = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
        np.testing.assert_allclose(alignment(points), [[a, -b, c], [b, a, d]], atol=1e-9)


def test_points_that_are_all_one_give_no_error() -> None:
    assert np.isfinite(alignment(np.full((5, 2), 7.0))).all()


@pytest.mark.parametrize("side", [112, 150, 400, 1100])
def test_a_crop_shows_the_face_that_was_put_into_the_photo(side: int) -> None:
    width = side * 2
    photo = scene([(1, side * 0.9, side * 0.8, side)], width, width)
    crop = crop_face(photo, points_of(side * 0.9, side * 0.8, side))
    known = cv2.resize(face(1), (112, 112), interpolation=cv2.INTER_AREA)
    middle = (slice(20, 92), slice(20, 92))
    assert abs(crop[middle].astype(int) - known[middle]).mean() < 2.5


def test_a_large_face_is_averaged_where_a_plain_look_up_would_skip_pixels() -> None:
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255  # grey from afar
    points = points_of(600, 600, 1000)
    plain = cv2.warpAffine(stripes, alignment(points), (112, 112), flags=cv2.INTER_LINEAR)
    assert crop_face(stripes, points).std() < 8
    assert plain.std() > 40  # the control


def test_what_lies_outside_the_photo_is_black() -> None:
    photo = np.full((300, 300, 3), 200, np.uint8)
    for side in (112, 600):
        crop = crop_face(photo, points_of(0, 0, side))
        assert (crop[:40, :40] == 0).all()
        assert (crop[75:, 75:] == 200).all()
