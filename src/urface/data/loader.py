"""Batches for training: sampled, cropped, augmented and labelled ahead of the step that needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np

from urface.config import VariationSettings
from urface.data.ahead import made_ahead
from urface.data.frames import Frames
from urface.data.sampler import Draw
from urface.data.storage import fetcher_of, let_wait
from urface.types import FaceBatch
from urface.variations.augment import (
    AUGMENTABLE,
    augment_into,
    sample_generator,
    turn,
    turn_generator,
)

FETCH_AHEAD = 4  # steps whose images far away are asked for before a worker needs them


def variation_names(frames: Frames) -> tuple[str, ...]:
    """The V variations of the batches: those we apply, then those the data set is labelled with.

    Where the data set is labelled with one that we apply, an image has it if it had it or was given it.
    """
    known = tuple(name for name in frames.source.variation_names if name not in AUGMENTABLE)
    return AUGMENTABLE + known


def make_batch(
    frames: Frames, draw: Draw, settings: VariationSettings, input_size: int, seed: int, part: slice
) -> FaceBatch:
    """The images ``part`` of a draw, augmented. A pure function: no state but the frames' cache."""
    index = draw.index[part]
    count = len(index)
    names = variation_names(frames)
    given = [frames.source.variation_names.index(name) for name in names[len(AUGMENTABLE) :]]
    shown = [
        place for place, name in enumerate(AUGMENTABLE) if name in frames.source.variation_names
    ]
    told = [frames.source.variation_names.index(AUGMENTABLE[place]) for place in shown]
    images = np.empty((count, input_size, input_size, 3), np.uint8)
    variations = np.empty((count, len(names)), np.float32)
    places = np.empty(count, np.int64)
    slack = frames.size - input_size
    # An image drawn twice in a step (stage two does) is augmented differently each time; counted over
    # the whole draw and by the place asked for, so that no rank needs to see another's images.
    repeats = _repeats(draw.index)[part]
    for row, (wanted, repeat) in enumerate(zip(index.tolist(), repeats, strict=True)):
        frame, place = frames.get(wanted)
        random = sample_generator(seed + (repeat << 32), draw.epoch, wanted)
        turned = False
        if settings.pose:
            assert frames.meshes is not None, "variations.pose needs data.meshes"
            head = frames.meshes.head(place, frames.size)
            hand = turn_generator(seed + (repeat << 32), draw.epoch, wanted)
            frame, turned = turn(frame, head, settings, hand)
        if slack:
            # Two calls take less than one for an array of two.
            top, left = random.integers(slack + 1), random.integers(slack + 1)
            frame = frame[top : top + input_size, left : left + input_size]
        labels = variations[row, : len(AUGMENTABLE)]
        augment_into(images[row], labels, frame, settings, random, turned)
        places[row] = place
    known = frames.source.variations[places]
    # What an image showed before stays true of it, or unknown, unless we do it as well.
    done = variations[:, shown]
    variations[:, shown] = np.where(done == 1.0, 1.0, known[:, told])
    variations[:, len(AUGMENTABLE) :] = known[:, given]
    return FaceBatch(images, frames.source.labels[places], variations, places)


def _repeats(index: np.ndarray) -> list[int]:
    """How often each place of a draw [B] came before it in the same draw."""
    seen: dict[int, int] = {}
    repeats = []
    for place in index.tolist():
        repeats.append(seen.get(place, 0))
        seen[place] = repeats[-1] + 1
    return repeats


def batches(
    frames: Frames,
    draw: Callable[[int], Draw],
    steps: Sequence[int],
    settings: VariationSettings,
    input_size: int,
    seed: int,
    part: slice = slice(None),
    workers: int = 1,
) -> Generator[FaceBatch, None, None]:
    """The batches of ``steps`` in order, prepared by ``workers`` threads while the network works.

    ``part`` is this rank's share of each draw: the draws are those of all ranks together, so that the
    data does not depend on how many there are. Nor does it depend on ``workers``: a batch is a pure
    function of its step. Threads are enough, for OpenCV lets go of the interpreter (docs/streaming.md).
    """
    lock = threading.Lock()  # the sampler keeps the order of an epoch
    fetch = fetcher_of(frames.source.read_bytes)

    def drawn(step: int) -> Draw:
        with lock:
            return draw(step)

    def make(step: int) -> FaceBatch:
        return make_batch(frames, drawn(step), settings, input_size, seed, part)

    def asked() -> Iterator[int]:
        """The steps, each once what it and those soon after it need from far away was asked for."""
        ready = 0
        for place, step in enumerate(steps):
            while fetch is not None and ready <= place + FETCH_AHEAD and ready < len(steps):
                coming = drawn(steps[ready])
                fetch(coming.index[part], coming.near)
                ready += 1
            yield step

    read = frames.source.read_bytes
    try:  # at the end the workers, and a signal's few seconds, must not wait for all that was asked for
        yield from made_ahead(make, asked(), workers, lambda: let_wait(read, False))
    finally:
        let_wait(read, True)
