"""Claims about batches: the same for any number of ranks and after any resumption."""

from __future__ import annotations

import numpy as np
import pytest

from urface.config import VariationSettings
from urface.data.decode import encode_png
from urface.data.frames import Frames
from urface.data.loader import batches, make_batch, variation_names
from urface.data.sampler import Draw, EpochSampler, PairSampler
from urface.data.source import FaceSource, build_source
from urface.types import FaceBatch
from urface.variations.augment import AUGMENTABLE

SIZE, FRAME = 16, 18
SETTINGS = VariationSettings(0.5, (3, 5), occlusion=0.5)


def source(corrupt: frozenset[int] = frozenset()) -> FaceSource:
    """5 people x 4 images of noise with two known variations, one of which we apply ourselves."""
    keys = [f"p{i // 4}/{i % 4}.png" for i in range(20)]

    def read(index: int) -> bytes:
        noise = np.random.default_rng(index).integers(1, 256, (FRAME, FRAME, 3))
        data = encode_png(noise.astype(np.uint8))
        return data[:-9] if index in corrupt else data

    known = np.stack([np.full(20, 0.5), np.arange(20) / 20], 1)
    known[7, 1] = np.nan
    return build_source("x", keys, [k[:2] for k in keys], read, ("occlusion", "glasses"), known)


def frames(corrupt: frozenset[int] = frozenset(), cache: float = 0.0) -> Frames:
    return Frames(source(corrupt), FRAME, 0.5, cache, progress=False)


def assert_equal(a: FaceBatch, b: FaceBatch) -> None:
    for name in ("images", "labels", "variations", "index"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def joined(a: FaceBatch, b: FaceBatch) -> FaceBatch:
    names = ("images", "labels", "variations", "index")
    return FaceBatch(*(np.concatenate([getattr(a, n), getattr(b, n)]) for n in names))


def test_batches_have_the_stated_shapes_and_the_labels_of_their_images() -> None:
    faces = frames()
    for batch in batches(faces, EpochSampler(20, 6, 0).draw, range(4), SETTINGS, SIZE, 0):
        assert batch.images.shape == (6, SIZE, SIZE, 3)
        assert batch.images.dtype == np.uint8
        assert batch.variations.shape == (6, 4)
        assert batch.labels.dtype == np.int64
        np.testing.assert_array_equal(batch.labels, batch.index // 4)


@pytest.mark.parametrize("corrupt", [frozenset(), frozenset({2, 3, 9})])
@pytest.mark.parametrize("kind", ["epochs", "pairs", "pairs split inside a person"])
def test_two_ranks_together_see_what_one_rank_sees(corrupt: frozenset[int], kind: str) -> None:
    samplers = {
        "epochs": EpochSampler(20, 12, 0),
        "pairs": PairSampler(source().labels, 2, 6, 0),
        "pairs split inside a person": PairSampler(source().labels, 1, 12, 0),
    }
    draw = samplers[kind].draw
    one = batches(frames(corrupt), draw, range(3), SETTINGS, SIZE, 5)
    left = batches(frames(corrupt), draw, range(3), SETTINGS, SIZE, 5, slice(0, 6))
    right = batches(frames(corrupt, 1.0), draw, range(3), SETTINGS, SIZE, 5, slice(6, 12))
    for whole, first, second in zip(one, left, right, strict=True):
        assert_equal(whole, joined(first, second))


def test_a_resumed_run_gets_the_batches_that_the_whole_run_would_have_got() -> None:
    draw = EpochSampler(20, 6, 0).draw
    whole = list(batches(frames(frozenset({4})), draw, range(8), SETTINGS, SIZE, 1))
    tail = list(batches(frames(frozenset({4})), draw, range(5, 8), SETTINGS, SIZE, 1))
    assert len(whole) == 8
    for a, b in zip(whole[5:], tail, strict=True):
        assert_equal(a, b)


def test_batches_may_be_left_half_way() -> None:
    stream = batches(frames(), EpochSampler(20, 6, 0).draw, range(1000), SETTINGS, SIZE, 0)
    first = next(stream)
    stream.close()  # type: ignore[attr-defined]
    again = make_batch(frames(), EpochSampler(20, 6, 0).draw(0), SETTINGS, SIZE, 0, slice(None))
    assert_equal(first, again)


def test_known_variations_ride_along_and_the_unknown_are_nan() -> None:
    faces = frames()
    assert variation_names(faces) == ("low_resolution", "occlusion", "pose", "glasses")
    batch = make_batch(faces, Draw(np.arange(20), 0), SETTINGS, SIZE, 0, slice(None))
    np.testing.assert_array_equal(batch.variations[:, 3], faces.source.variations[:, 1])
    assert np.isnan(batch.variations[:, 3]).nonzero()[0].tolist() == [7]
    assert set(batch.variations[:, [0, 2]].ravel().tolist()) == {0.0, 1.0}


def test_what_an_image_showed_before_stays_true_of_it() -> None:
    never = VariationSettings(low_resolution=0.0, occlusion=0.0)
    draw = Draw(np.arange(20), 0)
    column = AUGMENTABLE.index("occlusion")
    batch = make_batch(frames(), draw, never, SIZE, 0, slice(None))
    assert (batch.variations[:, column] == 0.5).all()  # the data set's own label
    assert (batch.variations[:, AUGMENTABLE.index("low_resolution")] == 0.0).all()
    always = VariationSettings(low_resolution=0.0, occlusion=1.0)
    batch = make_batch(frames(), draw, always, SIZE, 0, slice(None))
    assert (batch.variations[:, column] == 1.0).all()
    unknown = frames()
    unknown.source.variations[:, 0] = np.nan
    batch = make_batch(unknown, draw, never, SIZE, 0, slice(None))
    assert np.isnan(batch.variations[:, column]).all()


def test_a_replaced_image_brings_its_own_label_and_variations() -> None:
    faces = frames(frozenset({3}))
    batch = make_batch(faces, Draw(np.array([3]), 0), SETTINGS, SIZE, 0, slice(None))
    assert batch.index.tolist() == [4]
    assert batch.labels.tolist() == [1]
    assert batch.variations[0, 3] == np.float32(4 / 20)


def test_repeats_of_an_image_in_one_draw_are_augmented_differently() -> None:
    draw = Draw(np.zeros(6, np.int64), 0)
    settings = VariationSettings(0.0, occlusion=1.0)
    images = make_batch(frames(), draw, settings, SIZE, 0, slice(None)).images
    assert len({image.tobytes() for image in images}) == 6


def test_crops_are_parts_of_the_frame_and_move() -> None:
    faces = frames()
    settings = VariationSettings(0.0, occlusion=0.0, flip=0.0)
    whole, _ = faces.get(0)
    seen = set()
    for epoch in range(40):
        crop = make_batch(faces, Draw(np.array([0]), epoch), settings, SIZE, 0, slice(None)).images
        places = [
            (top, left)
            for top in range(3)
            for left in range(3)
            if (whole[top : top + SIZE, left : left + SIZE] == crop[0]).all()
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) >= 6


def test_an_error_in_the_making_reaches_the_caller() -> None:
    def broken(step: int) -> Draw:
        raise RuntimeError(f"step {step}")

    with pytest.raises(RuntimeError, match="step 0"):
        list(batches(frames(), broken, range(2), SETTINGS, SIZE, 0))
