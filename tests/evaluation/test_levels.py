"""Claims about one variation at a chosen strength."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from urface.data.decode import resize_image
from urface.evaluation.levels import LADDERS, Ladder, at_level, extreme, side_of

IMAGE = np.random.default_rng(0).integers(1, 256, (112, 112, 3)).astype(np.uint8)
PLANE = [ladder for ladder in LADDERS if ladder.kind != "yaw"]


def at(ladder: Ladder, level: float, key: str = "a/1.jpg") -> np.ndarray:
    face = at_level(IMAGE, key, ladder.kind, level)
    assert face is not None
    return face


def turned(key: str, yaw: float) -> np.ndarray:
    return np.full((112, 112, 3), 100 + round(yaw), np.uint8)


@pytest.mark.parametrize("ladder", PLANE, ids=lambda ladder: ladder.kind)
def test_the_first_level_changes_nothing(ladder: Ladder) -> None:
    np.testing.assert_array_equal(at(ladder, ladder.levels[0]), IMAGE)


@pytest.mark.parametrize("ladder", PLANE, ids=lambda ladder: ladder.kind)
def test_each_level_is_farther_from_the_image_than_the_one_before(ladder: Ladder) -> None:
    error = [np.square(at(ladder, level) - IMAGE.astype(float)).mean() for level in ladder.levels]
    assert (np.diff(error) > 0).all()


def test_a_harder_occlusion_hides_what_the_easier_one_hid_and_more() -> None:
    ladder = next(ladder for ladder in LADDERS if ladder.kind == "occlusion")
    hidden = [(at(ladder, level) == 0).all(2) for level in ladder.levels]
    for level, mask in zip(ladder.levels, hidden, strict=True):
        assert mask.mean() == pytest.approx(round(level / 100 * 49) / 49)
    for easier, harder in pairwise(hidden):
        assert harder[easier].all()


def test_levels_depend_on_nothing_but_the_key() -> None:
    occlusion = PLANE[1]
    np.testing.assert_array_equal(at(occlusion, 30), at(occlusion, 30))
    assert (at(occlusion, 30, "a/1.jpg") != at(occlusion, 30, "b/1.jpg")).any()


def test_a_head_is_turned_to_the_side_that_its_key_draws() -> None:
    keys = [f"p{number}/000.jpg" for number in range(60)]
    sides = [side_of(key) for key in keys]
    assert 15 < sum(side > 0 for side in sides) < 45
    for key, side in zip(keys, sides, strict=True):
        face = at_level(IMAGE, key, "yaw", 40, turned)
        assert face is not None
        assert face[0, 0, 0] == 100 + 40 * side


def test_a_head_that_cannot_be_turned_is_said_so() -> None:
    assert at_level(IMAGE, "a/1.jpg", "yaw", 30) is None
    assert at_level(IMAGE, "a/1.jpg", "yaw", 30, lambda key, yaw: None) is None


def test_extreme_is_all_at_once_and_does_without_a_turn() -> None:
    face = extreme(IMAGE, "a/1.jpg")
    assert (face == 0).all(2).mean() == pytest.approx(22 / 49)
    other = extreme(IMAGE, "a/1.jpg", turned)
    seen = ~(other == 0).all(2)
    assert set(np.unique(other[seen])) == {100 + 60 * side_of("a/1.jpg")}


def test_an_image_of_another_size_is_brought_to_112() -> None:
    small = resize_image(IMAGE, 64)
    for ladder in PLANE:
        face = at_level(small, "a/1.jpg", ladder.kind, ladder.levels[1])
        assert face is not None
        assert face.shape == (112, 112, 3)
