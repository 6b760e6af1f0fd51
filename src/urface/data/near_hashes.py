"""All pairs of 64-bit hashes that differ in a few bits, without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np

from urface.types import UserError

BITS = 64
MOST = 10  # bits: beyond, the parts that must agree are so short that everything is compared


def near_pairs(hashes: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs [P, 2] of places i < j whose hashes differ in at most ``radius`` bits, and how many [P] uint8.

    hashes [N] uint64, DISTINCT: equal ones are the business of ``np.unique``. The bits are cut into
    radius + 2 parts; two hashes that differ in at most ``radius`` bits agree in two of them whole, so only
    hashes that share two parts are compared: a sort for each two parts, memory for a few arrays of N.
    Pairs ascend. Raises UserError where radius is not in 0..10.
    """
    if not 0 <= radius <= MOST:
        raise UserError(f"hashes are compared up to {MOST} bits apart, got {radius}")
    hashes = np.asarray(hashes, np.uint64)
    found = [np.empty(0, np.int64)]
    if radius:
        for mask in _masks(radius + 2):
            found.append(np.unique(np.concatenate([*_within(hashes, mask, radius), found[0]])))
    codes = np.unique(np.concatenate(found))
    count = max(len(hashes), 1)
    pairs = np.stack([codes // count, codes % count], axis=1)
    return pairs, np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])


def _masks(parts: int) -> list[np.uint64]:
    """The bits of each two of ``parts`` nearly equal parts."""
    edges = np.linspace(0, BITS, parts + 1).astype(int).tolist()
    part = [sum(1 << bit for bit in range(low, high)) for low, high in pairwise(edges)]
    return [np.uint64(one | other) for one, other in combinations(part, 2)]


def _within(hashes: np.ndarray, mask: np.uint64, radius: int) -> Iterator[np.ndarray]:
    """Codes i * N + j of the near pairs that agree in the bits of ``mask``."""
    keys = hashes & mask
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.arange(len(keys))
    step = 1
    while (
        True
    ):  # each with its next, then those that still share a key with the one after, and so on
        first = first[first + step < len(keys)]
        first = first[keys[first] == keys[first + step]]
        if not len(first):
            return
        one, other = order[first], order[first + step]
        near = np.bitwise_count(hashes[one] ^ hashes[other]) <= radius
        one, other = one[near], other[near]
        yield np.minimum(one, other) * len(hashes) + np.maximum(one, other)
        step += 1
