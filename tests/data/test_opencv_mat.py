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


def test_a_folder_gives_the_features_of_all_its_files_by_key(tmp_path: Path) -> None:
    features = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    features[1, 2] = np.nan
    files = ["facescrub/p/1_x.bin", "facescrub/p/2.png_x.bin", "megaface/1/2@N00/3.jpg_x.bin"]
    for file, feature in zip(files, features, strict=True):
        write_feature(tmp_path / "a" / file, feature)
    found = read_feature_folder(tmp_path / "a", progress=False)
    assert found.keys == ["facescrub/p/1", "facescrub/p/2.png", "megaface/1/2@N00/3.jpg"]
    assert found.suffix == "_x.bin"
    np.testing.assert_array_equal(found.vectors, features)
    write_feature(tmp_path / "a" / files[2], features[2] + 1)
    assert read_feature_folder(tmp_path / "a", progress=False).digest != found.digest


def test_the_programs_name_is_told_with_underscores_and_without_one(tmp_path: Path) -> None:
    for name in ("p_1.jpg_r50_v2.bin", "p_2_r50_v2.bin"):
        write_feature(tmp_path / "a" / name, np.ones(2))
    found = read_feature_folder(tmp_path / "a", progress=False)
    assert (found.suffix, found.keys) == ("_r50_v2.bin", ["p_1.jpg", "p_2"])
    for name in ("p_1.bin", "p_2.bin"):
        write_feature(tmp_path / "b" / name, np.ones(2))
    found = read_feature_folder(tmp_path / "b", progress=False)
    assert (found.suffix, found.keys) == (".bin", ["p_1", "p_2"])


def test_a_folder_of_two_lengths_of_two_programs_or_of_none_is_refused(tmp_path: Path) -> None:
    write_feature(tmp_path / "a.jpg_x.bin", np.ones(3))
    write_feature(tmp_path / "b.jpg_x.bin", np.ones(4))
    with pytest.raises(UserError, match="4 numbers, the others have 3"):
        read_feature_folder(tmp_path, progress=False)
    write_feature(tmp_path / "b.jpg_y.bin", np.ones(3))
    with pytest.raises(UserError, match=r"several programs \(_x\.bin, _y\.bin\)"):
        read_feature_folder(tmp_path, progress=False)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no feature file in it"):
        read_feature_folder(tmp_path / "none")
    write_feature(tmp_path / "odd" / "a.jpg_x.bin", np.ones(3))
    write_feature(tmp_path / "odd" / "list.bin", np.ones(3))
    with pytest.raises(UserError, match=r"list\.bin: does not end with _x\.bin"):
        read_feature_folder(tmp_path / "odd")


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
