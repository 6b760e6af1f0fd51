"""Random sets of comparisons of every awkward kind: tiny, full of ties, constant, with failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

Sets = Iterator[tuple[np.ndarray, np.ndarray]]


def draw_sets(count: int, seed: int, failures: bool = True, largest: int = 80) -> Sets:
    """``count`` pairs of scores [N] and same [N] that hold both kinds of comparison."""
    rng = np.random.default_rng(seed)
    for turn in range(count):
        size = int(rng.integers(2, 6 if turn % 5 == 0 else largest))
        same = rng.random(size) < rng.uniform(0.1, 0.9)
        same[:2] = True, False
        scores = rng.normal(size=size) + rng.uniform(-0.5, 3.0) * same
        if turn % 3 == 1:
            scores = np.round(scores)  # a handful of values, most of them shared
        if turn % 11 == 2:
            scores = np.full(size, 0.25)
        if turn % 4 == 3:
            scores = scores.astype(np.float32)
        if failures and turn % 2:
            scores[rng.random(size) < rng.uniform(0.0, 0.4)] = np.nan
        order = rng.permutation(size)
        yield scores[order], same[order]


@pytest.fixture(scope="session")
def random_sets() -> Callable[..., Sets]:
    """The generator itself, for tests that choose their own count and seed."""
    return draw_sets
