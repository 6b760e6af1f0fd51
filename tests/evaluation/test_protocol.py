"""Claims about what is compared with what."""

from __future__ import annotations

import numpy as np
import pytest

from urface.evaluation.protocol import drawn_pairs, search_protocol
from urface.types import UserError

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 5))


def test_drawn_pairs_have_the_counts_and_truthful_labels() -> None:
    pairs = drawn_pairs(LABELS, folds=5, pairs=20, seed=1)
    assert len(pairs.left) == 5 * 2 * 20
    np.testing.assert_array_equal(LABELS[pairs.left] == LABELS[pairs.right], pairs.same)
    for fold in range(5):
        mine = pairs.same[pairs.fold == fold]
        assert (mine.sum(), (~mine).sum()) == (20, 20)


def test_no_pair_is_drawn_twice_and_no_image_with_itself() -> None:
    pairs = drawn_pairs(LABELS, folds=5, pairs=60, seed=1)
    both = {frozenset(pair) for pair in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)}
    assert len(both) == len(pairs.left)
    assert {len(pair) for pair in both} == {2}


def test_no_person_is_in_two_folds() -> None:
    pairs = drawn_pairs(LABELS, folds=5, pairs=60)
    people = [
        set(LABELS[np.concatenate([pairs.left[m], pairs.right[m]])].tolist())
        for m in (pairs.fold == fold for fold in range(5))
    ]
    assert sum(len(p) for p in people) == len(set.union(*people))


def test_a_seed_draws_the_same_pairs_again_and_another_others() -> None:
    a, b, c = (drawn_pairs(LABELS, 5, 20, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.left, b.left)
    assert (a.left != c.left).any()


@pytest.mark.parametrize(
    ("labels", "pairs", "message"),
    [
        (LABELS, 81, "80 genuine"),
        (np.arange(50), 1, "0 genuine"),
        (np.repeat([0, 1], [25, 1]), 300, "25 impostor"),
        (np.zeros(30, int), 10, "1 people|0 impostor"),
    ],
)
def test_too_few_faces_are_refused_before_drawing_goes_on_for_ever(
    labels: np.ndarray, pairs: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        drawn_pairs(labels, folds=5 if len(labels) > 30 else 1, pairs=pairs)


def test_all_there_is_can_be_drawn() -> None:
    pairs = drawn_pairs(np.array([0, 0, 1, 1]), folds=1, pairs=2)
    assert {frozenset(p) for p in zip(pairs.left[:2], pairs.right[:2], strict=True)} == {
        frozenset({0, 1}),
        frozenset({2, 3}),
    }


def test_a_search_enrols_the_first_image_and_keeps_the_parts_apart() -> None:
    labels = np.array([0, 1, 1, 2, 2, 2, 3, 3, 4, 1])
    search = search_protocol(labels, np.array([False, False, False, True, True, False]))
    assert search.gallery.tolist() == [1, 3]
    assert search.mated.tolist() == [2, 4, 5, 9]
    assert search.nonmated.tolist() == [6, 7, 8]  # person 0 has one image and is no stranger
