"""Claims about variation augmentation: purity, truthful labels, frequencies, independence."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from urface.config import VariationSettings
from urface.variations.augment import (
    AUGMENTABLE,
    augment,
    augment_into,
    sample_generator,
    turn_generator,
)
from urface.variations.occlusion import occlude

IMAGE = np.random.default_rng(0).integers(1, 256, (32, 32, 3)).astype(np.uint8)
NO_FLIP = VariationSettings(flip=0.0)


def draw(
    settings: VariationSettings, index: int, seed: int = 0, epoch: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    return augment(IMAGE, settings, sample_generator(seed, epoch, index))


def test_augmentation_is_a_pure_function_of_seed_epoch_and_index() -> None:
    settings = VariationSettings(low_resolution=0.8, occlusion=0.8, shrink_share=0.5)
    forward = [draw(settings, index, 3, 2) for index in range(20)]
    backward = [draw(settings, index, 3, 2) for index in reversed(range(20))][::-1]
    for (image, labels), (image_again, labels_again) in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(image, image_again)
        np.testing.assert_array_equal(labels, labels_again)


@pytest.mark.parametrize("other", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1 << 20, 0), (-1, 0, 0)])
def test_another_seed_epoch_or_index_draws_other_numbers(other: tuple[int, int, int]) -> None:
    assert sample_generator(*other).random() != sample_generator(0, 0, 0).random()


@pytest.mark.parametrize(("seed", "epoch", "index"), [(0, 0, 0), (7, 3, 11), (-1, 1 << 20, 5)])
def test_the_numbers_are_those_of_philox_with_the_key_of_the_image(
    seed: int, epoch: int, index: int
) -> None:
    """As NumPy's own, slower way makes them: old runs go on with the numbers that they began with."""
    bits = np.random.Philox(key=np.array([seed % 2**64, (epoch << 40) + index], np.uint64))
    plain, far = np.random.Generator(bits), np.random.Generator(bits.jumped())
    for wanted, got in (
        (plain, sample_generator(seed, epoch, index)),
        (far, turn_generator(seed, epoch, index)),
    ):
        np.testing.assert_array_equal(got.random(9), wanted.random(9))
        # The loader draws the two corners of a crop one after the other.
        np.testing.assert_array_equal([got.integers(7), got.integers(7)], wanted.integers(0, 7, 2))
        np.testing.assert_array_equal(got.permutation(49), wanted.permutation(49))


def test_labels_say_what_was_done() -> None:
    for index in range(200):
        image, labels = draw(NO_FLIP, index)
        assert (image != IMAGE).any() == labels.any()
        assert (image == 0).all(2).any() == (labels[AUGMENTABLE.index("occlusion")] == 1)
        assert labels.dtype == np.float32
        assert set(labels.tolist()) <= {0.0, 1.0}


def test_a_low_resolution_alone_keeps_every_block_and_changes_the_pixels() -> None:
    for share in (0.0, 1.0):
        settings = VariationSettings(
            low_resolution=1, occlusion=0, flip=0, shrink_share=share, shrink_pixels=(8, 16)
        )
        image, labels = draw(settings, 0)
        assert labels.tolist() == [1.0, 0.0, 0.0]
        assert image.std() < IMAGE.std()


def test_a_mirror_image_has_no_label() -> None:
    image, labels = draw(VariationSettings(0.0, occlusion=0.0, flip=1.0), 0)
    np.testing.assert_array_equal(image, IMAGE[:, ::-1])
    assert labels.tolist() == [0.0, 0.0, 0.0]


def test_frequencies_are_near_the_probabilities_and_independent() -> None:
    settings = replace(NO_FLIP, low_resolution=0.3, occlusion=0.6, blur_kernels=(3, 3))
    labels = np.array([draw(settings, index)[1] for index in range(3000)])
    # 5 standard deviations of a share of 3000 are below 0.05.
    np.testing.assert_allclose(labels.mean(0), [0.3, 0.6, 0.0], atol=0.05)
    assert labels[:, :2].prod(1).mean() == pytest.approx(0.18, abs=0.05)


def test_kernels_and_counts_of_blocks_stay_in_their_bounds_and_reach_both_ends() -> None:
    settings = VariationSettings(0.0, occlusion=1.0, occlusion_blocks=(2, 4), flip=0.0)
    white = np.full((28, 28, 3), 255, np.uint8)
    counts = set()
    for index in range(200):
        image, _ = augment(white, settings, sample_generator(0, 0, index))
        counts.add(int((image[:, :, 0] == 0).sum()) // 16)
    assert counts == {2, 3, 4}
    dot = np.zeros((31, 31, 3), np.uint8)
    dot[15, 15] = 255
    blur = VariationSettings(1.0, blur_kernels=(3, 7), occlusion=0.0, flip=0.0)
    widths = set()
    for index in range(200):
        image, _ = augment(dot, blur, sample_generator(0, 0, index))
        widths.add(int((image[15, :, 0] > 0).sum()))
    assert widths == {3, 5, 7}


def test_one_setting_does_not_change_what_another_does_to_the_same_image() -> None:
    both = VariationSettings(low_resolution=0.5, occlusion=0.5, flip=0.0)
    for index in range(50):
        image, labels = draw(both, index)
        _, only_occlusion = draw(replace(both, low_resolution=0.0), index)
        assert only_occlusion[1] == labels[1]
        only_low, low_labels = draw(replace(both, occlusion=0.0), index)
        assert low_labels[0] == labels[0]
        # Outside the black blocks the blurred image is the same pixel for pixel.
        shown = (image != 0).any(2)
        np.testing.assert_array_equal(image[shown], only_low[shown])
        black = (draw(replace(both, low_resolution=0.0), index)[0] == 0).all(2)
        np.testing.assert_array_equal((image == 0).all(2), black)


def as_before(image: np.ndarray, settings: VariationSettings, index: int) -> np.ndarray:
    """The same on copies: what the batch's rows must equal to the bit."""
    draw = sample_generator(0, 0, index)
    d = draw.random(6)
    if d[0] < settings.flip:
        image = np.ascontiguousarray(image[:, ::-1])
    if d[1] < settings.low_resolution:
        low, high = settings.blur_kernels
        kernel = low + 2 * int(d[3] * ((high - low) // 2 + 1))
        image = cv2.GaussianBlur(np.ascontiguousarray(image), (kernel, kernel), 0)
    if d[4] < settings.occlusion:
        first, last = settings.occlusion_blocks
        blocks = draw.permutation(settings.occlusion_grid**2)[
            : first + int(d[5] * (last - first + 1))
        ]
        image = occlude(image, settings.occlusion_grid, blocks)
    return image


def test_a_crop_of_a_larger_frame_goes_into_its_row_of_the_batch_bit_for_bit() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)
    settings = VariationSettings(low_resolution=0.5, occlusion=0.5)
    batch = np.full((60, 112, 112, 3), 7, np.uint8)
    labels = np.full((60, 5), 7, np.float32)
    for index in range(60):
        crop = frame[index % 9 : index % 9 + 112, index % 5 : index % 5 + 112]
        before = frame.copy()
        random = sample_generator(0, 0, index)
        augment_into(batch[index], labels[index, :3], crop, settings, random)
        np.testing.assert_array_equal(batch[index], as_before(crop, settings, index))
        np.testing.assert_array_equal(frame, before)
    assert set(labels[:, :3].ravel().tolist()) == {0.0, 1.0}
    assert (labels[:, 3:] == 7).all()
