"""Claims about crops of the images that a protocol names."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from urface.benchmarks.face_crops import (
    BOX_MARGIN,
    SIZE,
    AsTheyLie,
    Warped,
    box_transforms,
    landmark_transforms,
    leads_out,
)
from urface.data.decode import DecodeError, encode_png
from urface.template import TEMPLATE
from urface.variations.head_turn import similarity


def test_landmark_transforms_are_the_similarities_of_one_face_at_a_time() -> None:
    rng = np.random.default_rng(0)
    points = TEMPLATE * 1.7 + rng.normal(0, 4, (20, 5, 2)) + rng.uniform(0, 80, (20, 1, 2))
    found = landmark_transforms(points)
    for shape, transform in zip(points, found, strict=True):
        np.testing.assert_allclose(transform, similarity(shape, TEMPLATE)[:2], rtol=0, atol=1e-9)


def test_a_box_lands_in_the_middle_with_its_margin() -> None:
    transform = box_transforms(np.array([[20.0, 10.0, 30.0, 60.0]]))[0]
    corners = np.array([[20.0, 10.0, 1], [49.0, 69.0, 1]]) @ transform.T
    np.testing.assert_allclose(corners.mean(axis=0), [(SIZE - 1) / 2] * 2)
    np.testing.assert_allclose(np.ptp(corners[:, 1]), 59 * SIZE / (60 * BOX_MARGIN))


def test_a_missing_damaged_or_oddly_named_file_is_a_decode_error(tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    names = ["none.jpg", "cut.jpg", "a\0b.jpg", "x" * 5000, "."]
    transforms = np.zeros((len(names), 2, 3))
    for place in range(len(names)):
        with pytest.raises(DecodeError):
            AsTheyLie(tmp_path, names)(place)
        with pytest.raises(DecodeError):
            Warped(tmp_path, names, transforms)(place)


def test_readers_can_be_sent_to_a_worker_process(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(image))
    same = np.array([[[1.0, 0, 0], [0, 1.0, 0]]])
    for reader in (AsTheyLie(tmp_path, ["a.png"]), Warped(tmp_path, ["a.png"], same)):
        sent = pickle.loads(pickle.dumps(reader))
        np.testing.assert_array_equal(sent(0), image)


def test_paths_that_leave_their_folder_are_told() -> None:
    assert all(map(leads_out, ["/a", "../a", "a/../../b", "a\\b", ".."]))
    assert not any(map(leads_out, ["a", "a/b..c.jpg", "a..b/c", "1234@N00/1_0.jpg"]))
