"""What is compared with what: pairs with folds, and searches of probes in a gallery. Plain index arrays.

A place of -1 is an image that the protocol names and the data lack: it stays, and counts as a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from urface.data.lfw import read_pairs, resolve_pairs
from urface.data.source import FaceSource
from urface.types import UserError


@dataclass(frozen=True, eq=False)
class PairProtocol:
    """P comparisons: places left and right [P] of images, whether of one person [P], fold [P]."""

    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    fold: np.ndarray


@dataclass(frozen=True, eq=False)
class SearchProtocol:
    """A gallery, and probes with and without a mate in it: places of images.

    The gallery may hold several images of a person, which become one template.
    """

    gallery: np.ndarray
    mated: np.ndarray
    nonmated: np.ndarray


def lfw_pairs(path: str | Path, source: FaceSource) -> PairProtocol:
    """LFW's View 2: 6,000 pairs in 10 folds."""
    pairs = read_pairs(path)
    left, right = resolve_pairs(pairs, source)
    return PairProtocol(left, right, pairs.same, pairs.fold)


def drawn_pairs(
    labels: np.ndarray, folds: int = 10, pairs: int = 300, seed: int = 0
) -> PairProtocol:
    """LFW's shape on other faces: per fold ``pairs`` of one person and as many of two, no pair twice.

    No person is in two folds, so that a threshold is never judged on people it was chosen on. Raises
    UserError where the faces are too few.
    """
    random = np.random.default_rng(seed)
    people = random.permutation(np.unique(labels))
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(labels.max() + 2))
    rows: list[tuple[int, int, bool, int]] = []
    for fold in range(folds):
        mine = people[fold::folds]
        images = [order[starts[p] : starts[p + 1]] for p in mine]
        several = [group for group in images if len(group) > 1]
        genuine = sum(len(group) * (len(group) - 1) // 2 for group in several)
        sizes = np.array([len(group) for group in images])
        impostor = int(sizes.sum() ** 2 - (sizes**2).sum()) // 2
        # Fewer of either kind than asked for, and drawing without repeats would never end.
        if min(genuine, impostor) < pairs:
            raise UserError(
                f"fold {fold} of {folds} has {len(mine)} people with {genuine} genuine and {impostor} "
                f"impostor pairs, {pairs} of each are needed: give more people or images"
            )
        seen: set[tuple[int, int]] = set()
        for same in (True, False):
            while len(seen) < pairs * (1 if same else 2):
                if same:
                    first, second = random.choice(several[random.integers(len(several))], 2, False)
                else:
                    one, two = random.choice(len(images), 2, False)
                    first, second = random.choice(images[one]), random.choice(images[two])
                pair = (int(min(first, second)), int(max(first, second)))
                if pair not in seen:
                    seen.add(pair)
                    rows.append((*pair, same, fold))
    left, right, same_all, fold_all = (np.array(column) for column in zip(*rows, strict=True))
    return PairProtocol(left, right, same_all, fold_all)


def many_pairs(
    labels: np.ndarray, genuine: int = 50_000, impostor: int = 400_000, seed: int = 0
) -> PairProtocol:
    """As many pairs as a calibration can use, no pair twice: of one person all, or ``genuine`` drawn from
    them; of two people ``impostor`` drawn at random, at most half of all there are. One fold.
    """
    random = np.random.default_rng(seed)
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    found = [np.stack(np.triu_indices(len(group), 1)).T for group in groups]
    same = np.concatenate([group[pair] for group, pair in zip(groups, found, strict=True)])
    if len(same) > genuine:
        same = same[np.sort(random.choice(len(same), genuine, replace=False))]
    count = len(labels)
    there = (count * count - int((np.bincount(labels).astype(np.int64) ** 2).sum())) // 2
    wanted = min(impostor, there // 2)
    kept = np.empty(0, np.int64)
    while len(kept) < wanted:
        a, b = random.integers(0, count, (2, 2 * wanted))
        a, b = np.minimum(a, b), np.maximum(a, b)
        drawn = (a * count + b)[labels[a] != labels[b]]
        kept = np.unique(np.concatenate([kept, drawn]))
    other = np.sort(random.choice(kept, wanted, replace=False)) if wanted else kept
    left = np.concatenate([same[:, 0], other // count])
    right = np.concatenate([same[:, 1], other % count])
    kind = np.arange(len(left)) < len(same)
    return PairProtocol(left, right, kind, np.zeros(len(left), np.int64))


def search_protocol(
    labels: np.ndarray, strangers: np.ndarray, images: int = 1, reserved: int = 0
) -> SearchProtocol:
    """The first ``images`` of each person are enrolled, those after them are mated probes.

    labels     [N] the person of each image
    strangers  [C] bool: people who are not enrolled; all their images are non-mated probes
    images     enrolled of each person, always leaving one to search with
    reserved   as many (at least ``images``) are no probes, so that galleries of different sizes are
               searched with the same probes

    People with a single image who are not strangers are left out.
    """
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=len(strangers))
    number = np.empty(len(labels), np.int64)  # of an image among its person's
    number[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    most = counts[labels] - 1
    known = (~strangers & (counts >= 2))[labels]
    return SearchProtocol(
        gallery=np.flatnonzero(known & (number < np.minimum(images, most))),
        mated=np.flatnonzero(known & (number >= np.minimum(max(images, reserved), most))),
        nonmated=np.flatnonzero(strangers[labels]),
    )
