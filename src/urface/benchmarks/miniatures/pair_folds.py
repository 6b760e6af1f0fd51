"""Which faces of the made people are compared: ten folds, each of people of its own."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from urface.benchmarks.image_pairs import FOLDS

Shot = tuple[int, int]  # (person, shot)
Pair = tuple[Shot, Shot]


def pair_folds(
    people: int, left: range, right: range, pairs: int, seed: int
) -> list[tuple[list[Pair], list[Pair]]]:
    """(``pairs`` pairs of one person, as many of two) for each of ten folds, drawn by ``seed``.

    The first face of a pair is a shot of ``left``, the second one of ``right``; where these are equal no face
    meets itself or the same face twice. Fold k has the people from k * people / 10 on, as LFW's do.
    """
    rng = np.random.default_rng(seed)
    each = people // FOLDS
    folds = []
    for fold in range(FOLDS):
        group = range(fold * each, (fold + 1) * each)
        shots = list(combinations(left, 2)) if left == right else list(product(left, right))
        same = [((person, a), (person, b)) for person in group for a, b in shots]
        others = list(combinations(group, 2)) + [(b, a) for a, b in combinations(group, 2)]
        if left == right:
            others = others[: len(others) // 2]
        diff = [((one, a), (two, b)) for one, two in others for a in left for b in right]
        assert min(len(same), len(diff)) >= pairs, (len(same), len(diff))
        folds.append((_draw(rng, same, pairs), _draw(rng, diff, pairs)))
    return folds


def _draw(rng: np.random.Generator, pairs: list[Pair], count: int) -> list[Pair]:
    return [pairs[place] for place in np.sort(rng.permutation(len(pairs))[:count])]
