"""Claims about MegaFace's feature files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from mutation import mutate
from urface.data.opencv_mat import read_feature, read_feature_folder, write_feature
from urface.types import UserError


def test_a_feature_comes_back_bit_for_bit(tmp_path: Path) -> None:
    feature = np.random.default_rng(0).normal(size=512).astype(np.float32)
    write_feature(tmp_path / "a.bin", feature)
    np.testing.assert_array_equal(read_feature(tmp_path / "a.bin"), feature)


def test_the_layout_is_four_int32_and_the_numbers(tmp_path: Path) -> None:
    write_feature(tmp_path / "a.bin", np.array([1.5, -2.0]))
    assert (tmp_path / "a.bin").read_bytes() == struct.pack("<iiiiff", 2, 1, 4, 5, 1.5, -2.0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no feature file"),
        (struct.pack("<iii", 2, 1, 4), "no feature file"),
        (struct.pack("<iiiif", 2, 1, 4, 5, 1.5), "not the 24 bytes"),
        (struct.pack("<iiiiff", 1, 1, 4, 5, 1.5, 2), "not the 20 bytes"),
        (struct.pack("<iiiiff", 1, 2, 4, 5, 1.5, 2), "expected a length"),
        (struct.pack("<iiiid", 1, 1, 8, 6, 1.5), "expected a length"),
        (struct.pack("<iiii", 0, 1, 4, 5), "expected a length"),
        (struct.pack("<iiii", -1, 1, 4, 5), "expected a length"),
        (struct.pack("<iiii", 2**31 - 1, 1, 4, 5), "expected a length"),
        (struct.pack("<iiiif", 1, 1, 4, 5, float("nan")), "not finite"),
    ],
)
def test_other_headers_sizes_and_numbers_are_refused(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    with pytest.raises(UserError, match=why) as error:
        read_feature(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_folder_gives_the_features_of_keys_in_their_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(4, 8)).astype(np.float32)
    keys = ["facescrub/p/1.jpg", "facescrub/p/2.png", "megaface/1/2@N00/3.jpg", "gone/4.jpg"]
    files = ["facescrub/p/1_x.bin", "facescrub/p/2.png_x.bin", "megaface/1/2@N00/3.jpg_x.bin"]
    for file, feature in zip(files, features, strict=False):
        write_feature(tmp_path / file, feature)
    found = read_feature_folder(tmp_path, "_x.bin", keys[::-1])
    np.testing.assert_array_equal(found[::-1][:3], features[:3])
    assert np.isnan(found[0]).all()


def test_a_folder_of_two_lengths_of_none_or_of_keys_outside_is_refused(tmp_path: Path) -> None:
    write_feature(tmp_path / "a.jpg_x.bin", np.ones(3))
    write_feature(tmp_path / "b.jpg_x.bin", np.ones(4))
    with pytest.raises(UserError, match="4 numbers, the others have 3"):
        read_feature_folder(tmp_path, "_x.bin", ["a.jpg", "b.jpg"])
    with pytest.raises(UserError, match=r"no file KEY_y.bin, such as a.jpg_y.bin"):
        read_feature_folder(tmp_path, "_y.bin", ["a.jpg"])
    for key in ("../a.jpg", "/a.jpg", "a\0.jpg"):
        with pytest.raises(UserError, match="leads out"):
            read_feature_folder(tmp_path, "_x.bin", [key])


@pytest.mark.parametrize("rounds", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_files_are_read_or_refused(tmp_path: Path, rounds: int) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a.bin"
    write_feature(path, rng.normal(size=16))
    whole, refused = path.read_bytes(), 0
    for _ in range(rounds):
        path.write_bytes(mutate(whole, rng))
        try:
            assert np.isfinite(read_feature(path)).all()
        except UserError:
            refused += 1
    assert refused > rounds / 4
