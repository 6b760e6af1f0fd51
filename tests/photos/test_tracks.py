"""Following faces: two people who meet stay two people, also where their boxes say otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from urface.photos.tracks import Tracker
from urface.types import FaceEmbedding

SIDE = 40.0


def looks(people: list[int], variance: float = 0.01, seed: int = 0) -> FaceEmbedding:
    """Faces of ``people``, K = 2, D = 16: directions of their own with a little noise."""
    own = np.random.default_rng(99).normal(size=(10, 2, 16))
    mean = own[people] + np.random.default_rng(seed).normal(0, 0.2, (len(people), 2, 16))
    mean /= np.linalg.norm(mean, axis=2, keepdims=True)
    spread = np.full((len(people), 2), variance, np.float32)
    return FaceEmbedding(mean.astype(np.float32), 1 / spread, spread)


def boxes(*x: float, y: float = 0.0) -> np.ndarray:
    return np.array([[left, y, left + SIDE, y + SIDE] for left in x])


def bounce(same_looks: bool) -> list[list[int]]:
    """Two people walk towards each other, meet, and go back where they came from."""
    tracker = Tracker()
    numbers = []
    for step in range(13):
        meet = 60 - 10 * abs(step - 6)  # 0 .. 60 .. 0
        people = [0, 0] if same_looks else [0, 1]
        faces = looks(people, seed=step)
        numbers.append(tracker.follow(step * 0.2, boxes(meet, 130 - meet), faces))
    return numbers


def test_people_who_meet_and_turn_back_keep_their_tracks_by_their_looks() -> None:
    assert set(map(tuple, bounce(same_looks=False))) == {(1, 2)}


def test_by_place_alone_they_would_be_taken_for_each_other() -> None:
    """The control: with like looks the boxes, moving on as they did, pass through each other."""
    assert len(set(map(tuple, bounce(same_looks=True)))) > 1


def test_people_who_pass_each_other_keep_their_tracks() -> None:
    tracker = Tracker()
    for step in range(13):
        faces = looks([0, 1], seed=step)
        at = boxes(10 * step, 120 - 10 * step)
        order = [0, 1] if step % 2 else [1, 0]  # whatever order the detector gives
        numbers = tracker.follow(step * 0.2, at[order], faces[np.array(order)])
        assert np.array(numbers)[np.argsort(order)].tolist() == first_order(step, numbers, order)


def first_order(step: int, numbers: list[int], order: list[int]) -> list[int]:
    """Tracks are numbered in the order of the first frame, which is that of [1, 0]."""
    assert sorted(numbers) == [1, 2]
    return [2, 1]


def test_looks_never_take_a_face_across_the_picture() -> None:
    tracker = Tracker()
    assert tracker.follow(0.0, boxes(0), looks([0])) == [1]
    assert tracker.follow(0.2, boxes(400), looks([0], seed=1)) == [2]


def test_a_blurred_face_goes_where_its_place_says() -> None:
    tracker = Tracker()
    for step in range(4):
        tracker.follow(step * 0.2, boxes(0, 45), looks([0, 1], seed=step))
    blurred = looks([1], variance=50.0)  # looks like the other one, says that it does not know
    assert tracker.follow(0.8, boxes(1), blurred) == [1]
    sure = Tracker()
    for step in range(4):
        sure.follow(step * 0.2, boxes(0, 45), looks([0, 1], seed=step))
    assert sure.follow(0.8, boxes(1), looks([1], seed=9)) == [2]  # the control


def test_a_face_out_of_sight_is_followed_for_a_second_and_no_longer() -> None:
    for gap, wanted in ((0.9, 1), (1.2, 2)):
        tracker = Tracker()
        tracker.follow(0.0, boxes(0), looks([0]))
        tracker.follow(gap / 2, boxes(), looks([]))
        assert tracker.follow(gap, boxes(5), looks([0], seed=2)) == [wanted]


def test_after_a_cut_everybody_is_new() -> None:
    tracker = Tracker()
    tracker.follow(0.0, boxes(0), looks([0]))
    assert tracker.follow(0.2, boxes(0), looks([0]), cut=True) == [2]
    assert tracker.follow(0.4, boxes(0), looks([0])) == [2]


@pytest.mark.parametrize("side", [15.0, 100.0])
def test_a_box_that_grew_too_much_is_another_face(side: float) -> None:
    tracker = Tracker()
    tracker.follow(0.0, boxes(0), looks([0]))
    other = np.array([[0.0, 0, side, side]])
    assert tracker.follow(0.2, other, looks([0])) == [2]
