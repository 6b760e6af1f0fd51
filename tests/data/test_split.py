"""Who is held out, and which images are tested: nobody is on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from urface.data.source import FaceSource, build_source
from urface.data.split import hold_out_people, split_images
from urface.types import UserError


def people(counts: list[int]) -> FaceSource:
    keys = [f"p{p:02d}/{i}" for p, count in enumerate(counts) for i in range(count)]
    return build_source("faces", keys, [key[:3] for key in keys], lambda i: b"")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_held_out_people_share_no_person_with_training_and_none_is_lost(share: float) -> None:
    source = people([1, 3, 2, 5, 1, 1, 4, 2, 2, 3])
    train, held_out = hold_out_people(source, share, seed=4)
    assert not set(train.identities) & set(held_out.identities)
    assert sorted(train.keys + held_out.keys) == source.keys
    assert len(held_out.identities) == {0.01: 1, 0.3: 3, 0.99: 9}[share]


def test_the_seed_decides_who_is_held_out() -> None:
    source = people([1] * 40)
    drawn = [hold_out_people(source, 0.3, seed)[1].keys for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_one_person_cannot_be_split() -> None:
    with pytest.raises(UserError, match="one person"):
        hold_out_people(people([5]), 0.2, 0)


def test_each_tested_person_was_learned_on_other_images() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [1, 2, 3, 9]))
    train, test = split_images(labels, 3, 1 / 3, seed=1)
    assert not set(train.tolist()) & set(test.tolist())
    assert np.bincount(labels[test], minlength=4).tolist() == [0, 0, 1, 3]
    assert np.bincount(labels[train], minlength=4).tolist() == [0, 0, 2, 6]


def test_nobody_with_enough_images_leaves_both_empty() -> None:
    train, test = split_images(np.arange(5), 2, 0.5, seed=0)
    assert len(train) == len(test) == 0
