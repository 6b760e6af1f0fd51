"""Claims about finding near hashes without comparing each with each."""

from __future__ import annotations

import numpy as np
import pytest

from urface.data.near_hashes import near_pairs
from urface.types import UserError


def hashes(seed: int, count: int, flips: int) -> np.ndarray:
    """Distinct random hashes, many of them a few flipped bits from another."""
    rng = np.random.default_rng(seed)
    some = rng.integers(0, 2**64, count, dtype=np.uint64)
    near = some.copy()
    for _ in range(flips):
        near ^= np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
    return np.unique(np.concatenate([some, near]))


@pytest.mark.parametrize("radius", [0, 1, 2, 4, 7, 10])
def test_every_near_pair_is_found_once_and_no_other(radius: int) -> None:
    for seed in range(4):
        values = hashes(seed, 300, flips=1 + radius)
        apart = np.bitwise_count(values[:, None] ^ values[None, :])
        one, other = np.nonzero(np.triu(apart <= radius, k=1))
        pairs, distances = near_pairs(values, radius)
        assert pairs.tolist() == np.stack([one, other], 1).tolist()
        assert distances.tolist() == apart[one, other].tolist()


def test_hashes_that_share_their_bits_are_found_too() -> None:
    """Clusters, as of frames of one video: the worst case for looking things up by their parts."""
    values = np.unique(np.random.default_rng(5).integers(0, 2**9, 400).astype(np.uint64))
    apart = np.bitwise_count(values[:, None] ^ values[None, :])
    pairs, _ = near_pairs(values, 3)
    assert len(pairs) == np.count_nonzero(np.triu(apart <= 3, k=1))


def test_few_hashes_and_a_radius_out_of_range() -> None:
    for values in (np.empty(0, np.uint64), np.array([7], np.uint64)):
        assert near_pairs(values, 4)[0].shape == (0, 2)
    with pytest.raises(UserError, match="up to 10 bits"):
        near_pairs(np.zeros(1, np.uint64), 11)
