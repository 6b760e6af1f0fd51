"""Claims about the degradations of a test set."""

from __future__ import annotations

import numpy as np

from small_model import pictures
from urface.evaluation.degrade import SIZE, WHAT, degrade

IMAGE = np.maximum(pictures(1, 112)[0], 1)


def test_a_degraded_face_is_a_pure_function_of_image_key_and_seed() -> None:
    keys = [f"p/{i}.jpg" for i in range(12)]
    there = [degrade(IMAGE, key, 3) for key in keys]
    for key, image in reversed(list(zip(keys, there, strict=True))):
        np.testing.assert_array_equal(degrade(IMAGE, key, 3), image)
    assert any((degrade(IMAGE, key, 4) != there[i]).any() for i, key in enumerate(keys))
    assert len({image.tobytes() for image in there}) > 8


def test_every_face_is_changed_and_all_three_kinds_occur() -> None:
    kinds = {"blocks": 0, "resolution": 0}
    for number in range(90):
        image = degrade(IMAGE, str(number))
        assert image.shape == (SIZE, SIZE, 3)
        assert (image != IMAGE).any()
        black = (image == 0).all(2)
        kinds["blocks" if black.any() else "resolution"] += 1
        if black.any():
            assert 12 * 256 <= black.sum() <= 24 * 256
            np.testing.assert_array_equal(image[~black], IMAGE[~black])
    assert 15 <= kinds["blocks"] <= 45


def test_blur_and_shrinking_are_told_apart_on_a_single_dot() -> None:
    dot = np.zeros((112, 112, 3), np.uint8)
    dot[56, 56] = 255
    whites = np.where(np.arange(60)[:, None, None, None] >= 0, dot, 0)
    results = [degrade(image, str(n)) for n, image in enumerate(whites)]
    symmetric = [
        bool(image.any() and (image[46:67, 46:67] == image[46:67, 46:67][::-1, ::-1]).all())
        for image in results
    ]
    sharp = [int(image.max()) == 255 for image in results]
    # Blurred: spread evenly about the dot; blocks: the dot itself or nothing; shrunk: neither.
    assert any(s and not k for s, k in zip(symmetric, sharp, strict=True))
    assert any(sharp)
    assert any(image.max() in range(1, 13) for image in results)


def test_a_face_of_another_size_is_brought_to_the_stated_one() -> None:
    assert degrade(pictures(1, 70)[0], "a").shape == (SIZE, SIZE, 3)
    assert "112" in WHAT
