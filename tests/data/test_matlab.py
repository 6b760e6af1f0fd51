"""Claims about MATLAB files, checked against SciPy's writer and reader."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mutation import mutate
from urface.data import matlab
from urface.data.matlab import read_variables
from urface.types import UserError


def cells(values: list[Any]) -> np.ndarray:
    column = np.empty((len(values), 1), object)
    column[:, 0] = values
    return column


def saved(folder: Path, compressed: bool = True, **variables: Any) -> Path:
    path = folder / "lists.mat"
    savemat(path, variables, do_compression=compressed)
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_names_and_numbers_are_what_scipy_reads(tmp_path: Path, compressed: bool) -> None:
    names = ["1_1.jpg", "a", "\u00e9t\u00e9.jpg", "a long name with spaces.jpg"]
    ids = np.array([[1.0, 2.0], [3.0, -100.0]])
    path = saved(tmp_path, compressed, names=cells(names), ids=ids, small=np.uint8([[7], [9]]))
    found = read_variables(path, ("names", "ids", "small"))
    theirs = loadmat(path)
    assert found["names"] == [str(cell[0][0]) for cell in theirs["names"]] == names
    np.testing.assert_array_equal(found["ids"], theirs["ids"].ravel(order="F"))
    np.testing.assert_array_equal(found["small"], [7.0, 9.0])


def test_a_cell_in_a_cell_is_looked_into(tmp_path: Path) -> None:
    path = saved(tmp_path, names=cells([cells(["a.jpg"]), "b.jpg"]))
    assert read_variables(path, ("names",))["names"] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": 1}, "neither a cell array nor"),
        (np.array([[1 + 2j]]), "neither a cell array nor"),
        ("text", "neither a cell array nor"),
        (cells([np.ones((1, 1))]), "no text"),
        (cells([cells(["a", "b"])]), "no text"),
        (cells([cells([cells([cells([cells(["a"])])])])]), "no text"),
    ],
)
def test_other_kinds_of_variables_are_refused(tmp_path: Path, value: Any, why: str) -> None:
    with pytest.raises(UserError, match=why):
        read_variables(saved(tmp_path, x=value), ("x",))


def test_a_variable_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no variable 'ids'"):
        read_variables(saved(tmp_path, names=cells(["a"])), ("names", "ids"))


def test_matlab_7_3_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    for data, why in (
        (b"MATLAB 7.3 MAT-file, Platform".ljust(512), "-v7"),
        (b"\x89HDF\r\n\x1a\n".ljust(512), "-v7"),
        (b"", "not a MATLAB level 5"),
        (b"\x80\x04".ljust(300, b"\0"), "not a MATLAB level 5"),
    ):
        path.write_bytes(data)
        with pytest.raises(UserError, match=why):
            read_variables(path, ("x",))
    with pytest.raises(UserError, match="cannot be read"):
        read_variables(tmp_path / "none.mat", ("x",))


def header() -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matlab, "MAX_INFLATED", 1 << 20)
    bomb = zlib.compress(bytes(1 << 22), 9)
    path = tmp_path / "bomb.mat"
    path.write_bytes(header() + struct.pack("<II", 15, len(bomb)) + bomb)
    with pytest.raises(UserError, match="over 1048576 bytes"):
        read_variables(path, ("x",))


def test_a_count_of_cells_that_the_file_cannot_hold_ends_at_once(tmp_path: Path) -> None:
    flags = struct.pack("<IIII", 6, 8, 1, 0)
    dims = struct.pack("<IIii", 5, 8, 2**31 - 1, 2**31 - 1)
    name = struct.pack("<HH4s", 1, 1, b"x")
    body = flags + dims + name
    path = tmp_path / "many.mat"
    path.write_bytes(header() + struct.pack("<II", 14, len(body)) + body)
    with pytest.raises(UserError, match="ends inside a tag"):
        read_variables(path, ("x",))


def test_a_file_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, x=np.zeros((100, 1)))
    monkeypatch.setattr(matlab, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="over 100 bytes"):
        read_variables(path, ("x",))


@pytest.mark.parametrize("rounds", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_files_are_read_or_refused(tmp_path: Path, rounds: int) -> None:
    rng = np.random.default_rng(0)
    whole = [
        saved(
            tmp_path, compressed, names=cells(["1_1.jpg", "22_3.jpg"]), ids=np.ones((2, 1))
        ).read_bytes()
        for compressed in (True, False)
    ]
    refused = 0
    for number in range(rounds):
        path = tmp_path / "damaged.mat"
        path.write_bytes(mutate(whole[number % 2], rng))
        try:
            read_variables(path, ("names", "ids"))
        except UserError:
            refused += 1
    assert refused > rounds / 4
