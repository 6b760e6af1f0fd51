"""Which images make up each step: pure functions of (seed, step), whatever the workers and ranks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from urface.types import UserError

EPOCH_STREAM, PAIR_STREAM = 1, 2


def _generator(seed: int, stream: int, number: int) -> np.random.Generator:
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, (stream << 56) + number], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


@dataclass(frozen=True)
class Draw:
    """The images of one step for all ranks together: places [B] and the epoch that seeds their VA.

    ``near``: they lie in the same blocks of the files as those of the steps around them.
    """

    index: np.ndarray
    epoch: int
    near: bool = False


@dataclass
class EpochSampler:
    """Every image once an epoch, in a new order each; the last incomplete batch is left out.

    ``blocks`` [N] int64, the block of the files in which each image lies, and a ``window`` of so many
    images mix them over their neighbours only (see ``near_order``); without them, over the whole set.
    """

    size: int
    batch_size: int
    seed: int
    blocks: np.ndarray | None = None
    window: int = 0
    _order: tuple[int, np.ndarray] = field(default=(-1, np.empty(0, np.int64)), repr=False)

    def __post_init__(self) -> None:
        if self.size < self.batch_size:
            raise UserError(
                f"{self.size} images do not fill one batch of {self.batch_size}: lower "
                "optim.batch_size"
            )

    @property
    def steps_per_epoch(self) -> int:
        return self.size // self.batch_size

    def draw(self, step: int) -> Draw:
        """Step 0, 1, ... over all epochs."""
        epoch, place = divmod(step, self.steps_per_epoch)
        known, order = self._order
        near = self.blocks is not None and self.window > 0
        if known != epoch:
            random = _generator(self.seed, EPOCH_STREAM, epoch)
            if near:
                assert self.blocks is not None
                order = near_order(self.blocks, self.window, self.batch_size, random)
            else:
                order = random.permutation(self.size)
            self._order = (epoch, order)
        first = place * self.batch_size
        return Draw(order[first : first + self.batch_size], epoch, near)


def near_order(
    blocks: np.ndarray, window: int, batch_size: int, random: np.random.Generator
) -> np.ndarray:
    """An order of the N images in which those of a block come within about ``window`` places of each other.

    The blocks are shuffled and laid end to end; each image then moves back by an even random part of the
    window. So at any time about window / (images of a block) blocks are in use, and they come and go one by
    one, where shuffling window after window would need a whole window of new blocks at once.

    Within a batch images are sorted by a random number of their block. The ranks cut a batch into shares,
    so each keeps to its own blocks, whatever the number of ranks, and they are not read by all.
    """
    count = len(blocks)
    total = int(blocks.max()) + 1
    turn = random.permutation(total)
    sizes = np.bincount(blocks, minlength=total)
    starts = np.empty(total, np.int64)
    by_turn = np.argsort(turn)
    starts[by_turn] = np.cumsum(sizes[by_turn]) - sizes[by_turn]
    order = np.argsort(starts[blocks] + random.random(count) * window, kind="stable")
    owner = random.permutation(total)
    batch = np.arange(count) // batch_size
    return order[np.lexsort((owner[blocks[order]], batch))]


@dataclass
class PairSampler:
    """P people with n images each, for stage two; people with one image have no genuine pair.

    Where a person has fewer than n images, all of them are taken and some repeated under another
    augmentation, which is a genuine pair too.
    """

    labels: np.ndarray
    identities: int
    images: int
    seed: int

    def __post_init__(self) -> None:
        counts = np.bincount(self.labels)
        self._order = np.argsort(self.labels, kind="stable")
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._people = np.flatnonzero(counts >= 2)
        if len(self._people) == 0:
            raise UserError("no person has two images: stage two needs genuine pairs")

    def draw(self, step: int) -> Draw:
        random = _generator(self.seed, PAIR_STREAM, step)
        count = min(self.identities, len(self._people))
        people = random.choice(self._people, count, replace=False)
        chosen = []
        for person in people:
            mine = self._order[self._starts[person] : self._starts[person + 1]]
            shuffled = random.permutation(mine)
            chosen.append(np.resize(shuffled, self.images))
        # The step seeds the augmentation, offset so that repeats of an image differ (see Loader).
        return Draw(np.concatenate(chosen), step)
