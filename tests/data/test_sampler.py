"""Claims about which images make up a step."""

from __future__ import annotations

import numpy as np
import pytest

from urface.data.sampler import EpochSampler, PairSampler
from urface.types import UserError


def test_each_epoch_is_a_permutation_less_its_last_incomplete_batch() -> None:
    sampler = EpochSampler(23, 5, seed=1)
    assert sampler.steps_per_epoch == 4
    orders = []
    for epoch in range(3):
        draws = [sampler.draw(4 * epoch + place) for place in range(4)]
        assert {draw.epoch for draw in draws} == {epoch}
        places = np.concatenate([draw.index for draw in draws])
        assert len(set(places.tolist())) == 20
        assert set(places.tolist()) <= set(range(23))
        orders.append(tuple(places))
    assert len(set(orders)) == 3
    whole = EpochSampler(20, 5, seed=1)
    assert sorted(np.concatenate([whole.draw(s).index for s in range(4)])) == list(range(20))


def test_a_step_is_the_same_in_whatever_order_steps_are_asked_for() -> None:
    forward, jumping = EpochSampler(23, 5, seed=1), EpochSampler(23, 5, seed=1)
    steps = list(range(12))
    there = {step: forward.draw(step) for step in steps}
    for step in np.random.default_rng(0).permutation(steps).tolist():
        draw = jumping.draw(step)
        np.testing.assert_array_equal(draw.index, there[step].index)
        assert draw.epoch == there[step].epoch


def test_another_seed_gives_another_order() -> None:
    a, b = (EpochSampler(100, 100, seed).draw(0).index for seed in (0, 1))
    assert (a != b).any()


def test_a_set_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(UserError, match=r"4 images do not fill one batch of 5.*optim\.batch_size"):
        EpochSampler(4, 5, seed=0)
    assert sorted(EpochSampler(5, 5, seed=0).draw(0).index) == [0, 1, 2, 3, 4]


LABELS = np.array([2, 0, 1, 2, 3, 2, 1, 3, 3, 3, 3, 5])  # 0 and 5 have one image, 4 has none


def test_pairs_come_as_people_times_images_of_people_with_two_or_more() -> None:
    sampler = PairSampler(LABELS, identities=2, images=3, seed=0)
    seen = set()
    for step in range(30):
        draw = sampler.draw(step)
        people = LABELS[draw.index].reshape(2, 3)
        assert (people == people[:, :1]).all()
        assert people[0, 0] != people[1, 0]
        seen |= set(people.ravel().tolist())
        assert draw.epoch == step
    assert seen == {1, 2, 3}


def test_a_person_with_fewer_images_repeats_all_of_them_and_others_repeat_none() -> None:
    sampler = PairSampler(LABELS, identities=3, images=4, seed=0)
    for step in range(10):
        for group in sampler.draw(step).index.reshape(3, 4):
            have = int((LABELS[group[0]] == LABELS).sum())
            assert len(set(group.tolist())) == min(have, 4)


def test_where_fewer_people_have_pairs_all_of_them_are_drawn() -> None:
    draw = PairSampler(LABELS, identities=50, images=2, seed=0).draw(0)
    assert sorted(LABELS[draw.index]) == [1, 1, 2, 2, 3, 3]


def test_a_pair_step_is_a_pure_function_of_seed_and_step() -> None:
    one, two = (PairSampler(LABELS, 2, 3, seed=7) for _ in range(2))
    there = [one.draw(step).index for step in range(8)]
    for step in reversed(range(8)):
        np.testing.assert_array_equal(two.draw(step).index, there[step])
    assert len({tuple(index) for index in there}) > 1
    assert any(
        (PairSampler(LABELS, 2, 3, seed=8).draw(s).index != there[s]).any() for s in range(8)
    )


def test_people_with_one_image_each_have_no_pairs() -> None:
    with pytest.raises(UserError, match="no person has two images"):
        PairSampler(np.arange(5), 2, 2, seed=0)


def near(seed: int = 1, window: int = 600) -> EpochSampler:
    return EpochSampler(8000, 100, seed, np.arange(8000) // 50, window)


def test_a_windowed_epoch_has_every_image_once_in_another_order_each_and_for_each_seed() -> None:
    sampler = near()
    epochs = [np.concatenate([sampler.draw(80 * e + s).index for s in range(80)]) for e in range(2)]
    for order in epochs:
        assert sorted(order) == list(range(8000))
    assert (epochs[0] != epochs[1]).any()
    assert (near(seed=2).draw(0).index != epochs[0][:100]).any()
    np.testing.assert_array_equal(near().draw(97).index, epochs[1][1700:1800])


def test_a_window_uses_few_blocks_at_a_time_and_mixes_them() -> None:
    order = np.concatenate([near().draw(step).index for step in range(80)])
    blocks = order // 50
    first, last = np.full(160, 8000), np.zeros(160, int)
    np.minimum.at(first, blocks, np.arange(8000))
    np.maximum.at(last, blocks, np.arange(8000))
    open_at_once = [(first <= place).sum() - (last < place).sum() for place in range(0, 8000, 100)]
    assert max(open_at_once) <= 1.5 * 600 / 50 + 4
    # Evenly mixed a batch has images of about as many blocks as are open; in file order of 2 or 3.
    mixed = [len(np.unique(part)) for part in blocks.reshape(80, 100)[10:70]]
    assert min(mixed) >= 8
    control = EpochSampler(8000, 100, 1)
    spread = np.concatenate([control.draw(step).index for step in range(80)])[:800] // 50
    assert len(np.unique(spread)) > 150  # the whole set in use at once


def test_the_shares_of_a_batch_keep_to_their_own_blocks_whatever_the_number_of_ranks() -> None:
    sampler = near()
    for ranks in (2, 4):
        read = 0
        for rank in range(ranks):
            part = slice(rank * 100 // ranks, (rank + 1) * 100 // ranks)
            mine = np.concatenate([sampler.draw(step).index[part] for step in range(80)])
            read += len(np.unique(mine // 50))
        assert (
            read < 0.75 * ranks * 160
        )  # all ranks would read all blocks if a batch was not sorted
