"""Claims about the synthetic people of all miniatures."""

from __future__ import annotations

import numpy as np

from urface.benchmarks.miniatures import faces
from urface.benchmarks.miniatures.faces import people, profiles
from urface.data.decode import decode_image
from urface.data.synthetic import ShotStyle, render_face


def test_a_face_is_that_of_its_address_to_within_the_loss_of_jpeg() -> None:
    shots = people(2, 2, seed=3, first=5)
    assert [len(of_one) for of_one in shots] == [2, 2]
    image = decode_image(shots[1][1])
    truth = render_face(3, 6, 1).image
    assert image.shape == (112, 112, 3)
    assert np.abs(image.astype(int) - truth).mean() < 4


def test_the_same_face_is_rendered_once() -> None:
    first = people(2, 1, seed=9)
    before = faces._jpeg.cache_info().misses
    again = people(3, 1, seed=9)
    assert again[:2] == first
    assert faces._jpeg.cache_info().misses == before + 1


def test_all_faces_differ() -> None:
    shown = [jpeg for of_one in people(3, 2) + profiles(3, 2) for jpeg in of_one]
    assert len(set(shown)) == 12


def test_profiles_are_turned_to_both_sides() -> None:
    left, right = profiles(1, 2, seed=2)[0]
    truth = [
        render_face(2, 0, shot, style=ShotStyle(yaw=yaw)) for shot, yaw in ((0, -65.0), (1, 65.0))
    ]
    assert [face.yaw for face in truth] == [-65.0, 65.0]
    for jpeg, face in zip((left, right), truth, strict=True):
        assert np.abs(decode_image(jpeg).astype(int) - face.image).mean() < 4
