"""Which people, and which images of a person, are kept for testing: functions of the seed alone."""

from __future__ import annotations

import numpy as np

from urface.data.source import FaceSource, select
from urface.types import UserError


def hold_out_people(source: FaceSource, share: float, seed: int) -> tuple[FaceSource, FaceSource]:
    """``source`` without and with only a ``share`` of its people, drawn by ``seed``.

    At least one person is on each side; UserError where there are fewer than two.
    """
    people = len(source.identities)
    if people < 2:
        raise UserError(f"{source.name}: one person cannot be both trained on and held out")
    count = min(max(1, round(share * people)), people - 1)
    held = np.zeros(people, bool)
    held[np.random.default_rng(seed).permutation(people)[:count]] = True
    of_image = held[source.labels]
    return select(source, np.flatnonzero(~of_image)), select(source, np.flatnonzero(of_image))


def split_images(
    labels: np.ndarray, least: int, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Places to train on and to test on, of the people with at least ``least`` images.

    labels [N], the person of each image. Of each such person a ``share`` of the images, rounded down but
    at least one, is for testing; the others, at least one, are for training. Both empty where nobody has
    enough.
    """
    random = np.random.default_rng(seed)
    train, test = [], []
    order = np.argsort(labels, kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(mine) >= max(least, 2):
            drawn = random.permutation(mine)
            count = max(1, int(share * len(mine)))
            test.append(drawn[:count])
            train.append(drawn[count:])
    none = np.empty(0, np.int64)
    return (
        np.sort(np.concatenate(train)) if train else none,
        np.sort(np.concatenate(test)) if test else none,
    )
