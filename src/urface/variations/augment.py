"""Variation augmentation: what is done to one training image, and the labels that say so."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from urface.config import VariationSettings
from urface.variations.lowres import gaussian_blur, shrink
from urface.variations.occlusion import paint
from urface.variations.pose import HeadView, turned_view

AUGMENTABLE = ("low_resolution", "occlusion", "pose")


# Counters of Philox: at first, and once 2^128 of its blocks have been drawn.
START, FAR = np.zeros(4, np.uint64), np.array([0, 0, 1, 0], np.uint64)


class _Key(np.random.bit_generator.ISeedSequence):
    """Hands Philox its key: the argument of that name is slower, for it asks the system for a seed first."""

    def __init__(self, *key: int) -> None:
        self.key = np.array(key, np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return self.key


def _stream(seed: int, epoch: int, index: int, counter: np.ndarray) -> np.random.Generator:
    key = _Key(seed & 0xFFFFFFFFFFFFFFFF, (epoch << 40) + index)
    # NumPy's stubs know only one kind of ISeedSequence.
    return np.random.Generator(np.random.Philox(key, counter))  # type: ignore[arg-type]


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one image in one epoch: the same whichever worker or rank draws them."""
    return _stream(seed, epoch, index, START)


def turn_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of the image's pose: far along the same stream, so that no other draw moves."""
    return _stream(seed, epoch, index, FAR)


def turn(
    frame: np.ndarray,
    head: HeadView | None,
    settings: VariationSettings,
    random: np.random.Generator,
) -> tuple[np.ndarray, bool]:
    """``frame`` [H, W, 3] uint8, its ``head`` turned with the probability of a pose; whether it was.

    The first of the variations, on the whole frame: a crop would cut off what the turn brings in. A
    frame without a head that can be turned (None) comes back as it is.
    """
    draw = random.random(5)
    if head is None or draw[0] >= settings.pose:
        return frame, False
    yaw, pitch = (
        low + (high - low) * share
        for (low, high), share in zip(
            (settings.pose_yaw, settings.pose_pitch), draw[1:3], strict=True
        )
    )
    yaw, pitch = (-yaw if draw[3] < 0.5 else yaw), (-pitch if draw[4] < 0.5 else pitch)
    return turned_view(frame, head, yaw, pitch), True


def augment(
    image: np.ndarray,
    settings: VariationSettings,
    random: np.random.Generator,
    turned: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """``image`` [H, W, 3] uint8 -> augmented image and labels [len(AUGMENTABLE)], 1.0 where applied.

    ``turned`` says whether ``turn`` has given the image another pose already.

    Each variation is applied on its own with its probability. Occlusion comes last, since what hides a
    face is not blurred with it in the paper's examples.
    """
    out = np.empty(image.shape, np.uint8)
    labels = np.empty(len(AUGMENTABLE), np.float32)
    augment_into(out, labels, image, settings, random, turned)
    return out, labels


def augment_into(
    out: np.ndarray,
    labels: np.ndarray,
    image: np.ndarray,
    settings: VariationSettings,
    random: np.random.Generator,
    turned: bool = False,
) -> None:
    """``augment`` that writes into ``out`` [H, W, 3] and ``labels``: a batch's own rows, without a copy.

    ``out`` is contiguous and shares no memory with ``image``.
    """
    # All draws are made in one call and in a fixed order, whether used or not: one variation's setting
    # must not change what another does to the same image, and a call costs more than a number.
    draw = random.random(6).tolist()
    blurred, hidden = draw[1] < settings.low_resolution, draw[4] < settings.occlusion
    labels[:] = blurred, hidden, turned
    if draw[0] < settings.flip:
        # NumPy's own copy of a mirrored image takes eight times as long.
        image = cv2.flip(image, 1, None if blurred else out)
    elif not blurred:
        out[...] = image
    if blurred:
        if draw[2] < settings.shrink_share:
            out[...] = shrink(image, _between(settings.shrink_pixels, draw[3]))
        else:
            low, high = settings.blur_kernels
            gaussian_blur(image, low + 2 * int(draw[3] * ((high - low) // 2 + 1)), out)
    if hidden:
        count = _between(settings.occlusion_blocks, draw[5])
        blocks = random.permutation(settings.occlusion_grid**2)[:count]
        paint(out, settings.occlusion_grid, blocks)


def _between(bounds: tuple[int, int], draw: float) -> int:
    """A whole number from ``bounds``, both ends included, for a draw in [0, 1)."""
    low, high = bounds
    return low + int(draw * (high - low + 1))
