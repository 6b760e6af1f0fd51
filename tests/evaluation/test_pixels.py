"""Claims about raw pixels as an embedding."""

from __future__ import annotations

import numpy as np
import pytest

from small_model import pictures
from urface.data.decode import encode_png
from urface.data.source import FaceSource, build_source
from urface.evaluation.pixels import SIDE, embed_pixels


def test_pixels_are_of_unit_length_without_their_mean_and_the_corrupt_fail(
    faces: FaceSource,
) -> None:
    tested = embed_pixels(faces, "clean", np.array([5, 0, 2, 5, -1]))
    assert tested.faces.mean.shape == (2, 1, SIDE**2)
    np.testing.assert_allclose(np.linalg.norm(tested.faces.mean, axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(tested.faces.mean.mean(2), 0, atol=1e-5)
    assert list(tested.failures) == ["Bo/Bo_0002.png"]
    assert tested.at(np.array([0, 2, 5, 1])).tolist() == [0, -1, 1, -1]


def test_brightness_and_contrast_do_not_matter_but_the_degradation_does(faces: FaceSource) -> None:
    image = pictures(1)[0] // 2
    levels = [image, image + 40]
    source = build_source("x", ["a/0.png", "a/1.png"], ["a", "a"], lambda i: encode_png(levels[i]))
    mean = embed_pixels(source, "clean", np.arange(2)).faces.mean[:, 0]
    assert float(mean[0] @ mean[1]) == pytest.approx(1, abs=1e-3)
    clean = embed_pixels(faces, "clean", np.array([0])).faces.mean
    assert np.abs(clean - embed_pixels(faces, "degraded", np.array([0])).faces.mean).max() > 1e-4


def test_an_image_of_one_colour_has_no_direction_and_fails() -> None:
    flat = encode_png(np.full((40, 40, 3), 9, np.uint8))
    source = build_source("x", ["a/0.png"], ["a"], lambda i: flat)
    tested = embed_pixels(source, "clean", np.array([0]))
    assert len(tested.faces) == 0
    assert "without contrast" in tested.failures["a/0.png"]
    assert tested.row.tolist() == [-1]
