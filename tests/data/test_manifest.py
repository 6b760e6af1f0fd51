"""Claims about manifests: what is read, what is refused, and that writing and reading agree."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutation import SLOWEST
from mutation import refused as mutations_refused
from urface.data.decode import encode_png
from urface.data.manifest import parse_manifest, read_manifest, write_manifest
from urface.data.open import open_faces
from urface.types import UserError

KEYS = ["al/0.png", "bo/0.png", "bo/1.png"]
VALUES = np.array([[0.0, 1.0], [0.25, np.nan], [np.nan, 0.1]], np.float32)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    for level, key in enumerate(KEYS):
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(encode_png(np.full((8, 8, 3), level, np.uint8)))
    return tmp_path


def read_csv(folder: Path, text: str | bytes) -> object:
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_manifest(path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_written_is_read_back_with_unknowns_as_nan(faces: Path, ending: str) -> None:
    path = faces / f"m.{ending}"
    order = [2, 0, 1]
    write_manifest(
        path, [KEYS[i] for i in order], ['B, "o"', "al", 'B, "o"'], ["blur", "mask"], VALUES[order]
    )
    source = read_manifest(path)
    assert source.keys == KEYS
    assert source.identities == ['B, "o"', "al"]
    assert source.labels.tolist() == [1, 0, 0]
    assert source.variation_names == ("blur", "mask")
    np.testing.assert_array_equal(source.variations, VALUES)
    assert source.variations.dtype == np.float32
    assert [int(source.image(i)[0, 0, 0]) for i in range(3)] == [0, 1, 2]
    assert not list(faces.glob(".*tmp*"))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_folder_with_a_manifest_is_read_by_it(faces: Path, ending: str) -> None:
    write_manifest(faces / f"manifest.{ending}", KEYS[:2], ["x", "y"], ["blur"], VALUES[:2, :1])
    source = open_faces(faces)
    assert source.identities == ["x", "y"]
    assert source.variation_names == ("blur",)
    write_manifest(faces / "manifest.csv", KEYS, ["x"] * 3)
    write_manifest(faces / "manifest.parquet", KEYS, ["x"] * 3)
    with pytest.raises(UserError, match="two manifests"):
        open_faces(faces)


def test_a_byte_order_mark_blank_lines_and_crlf_are_tolerated(faces: Path) -> None:
    source = read_csv(faces, b"\xef\xbb\xbfpath,identity\r\nbo/0.png,7\r\n\r\n./al/0.png,007\r\n")
    assert source.keys == ["al/0.png", "bo/0.png"]
    assert source.identities == ["007", "7"]


def test_text_and_pose_columns_are_not_labels(faces: Path) -> None:
    source = read_csv(
        faces, "path,identity,group,yaw,pitch,roll,blur\nbo/0.png,7,north,-60,10,95,0.5\n"
    )
    assert source.variation_names == ("blur",)
    table = {"path": KEYS, "identity": [1, 2, 2], "yaw": [-60.0, 1.0, 2.0]}
    table |= {"group": ["n", "n", None], "masked": [True, None, False], "kind": [0, 1, None]}
    pq.write_table(pa.table(table), faces / "t.parquet")
    source = read_manifest(faces / "t.parquet")
    assert source.identities == ["1", "2"]
    assert source.variation_names == ("masked", "kind")
    np.testing.assert_array_equal(source.variations, [[1, 0], [np.nan, 1], [0, np.nan]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'path'"),
        ("path\nal/0.png\n", "no column 'identity'"),
        ("path,identity\n", "no image"),
        ("path,path,identity\n", "two columns"),
        ("path,identity\nal/0.png\n", r"list\.csv:2: 1 cells under 2 columns"),
        ("path,identity\nal/0.png,a,b\n", "3 cells under 2"),
        ("path,identity\nal/0.png,\n", r"list\.csv:2: an empty identity"),
        ("path,identity\n,a\n", r"list\.csv:2: an empty"),
        ("path,identity\n../x.png,a\n", r"list\.csv:2: '\.\./x\.png' leads out"),
        ("path,identity\nal/../../x.png,a\n", "leads out"),
        ("path,identity\n/etc/passwd,a\n", "leads out"),
        ("path,identity\nal/0.png,a\n\nal//0.png,b\n", r"list\.csv:4: .* is on line 2 already"),
        ("path,identity,blur\nal/0.png,a,0.5\nbo/0.png,a,1.5\n", r"list\.csv:3: blur is 1\.5"),
        ("path,identity,blur\nal/0.png,a,-0.1\n", r"blur is -0\.1"),
        ("path,identity,blur\nal/0.png,a,inf\n", "blur is inf"),
        ("path,identity,blur\nal/0.png,a,0.5\nbo/0.png,a,o.5\n", r"csv:3: blur holds both"),
        ("path,identity,blur\nal/0.png,a,o.5\nbo/0.png,a,0.5\n", r"csv:2: blur holds both"),
        ("path,identity\nno/0.png,a\n", "relative to the manifest's folder"),
        ('path,identity\nal/0.png,"a\n', "not readable as CSV"),
        (b"path,identity\nal/0.png,\xff\n", "not UTF-8"),
        (b"PAR1\x00\x01", "no column 'path'"),
    ],
)
def test_a_bad_manifest_is_one_line_with_file_and_line(
    faces: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_csv(faces, text)
    assert "\n" not in str(caught.value)
    assert "list.csv" in str(caught.value)


def test_a_bad_parquet_names_its_row_or_its_fault(faces: Path) -> None:
    path = faces / "t.parquet"
    pq.write_table(pa.table({"path": KEYS, "identity": list("abb"), "blur": [0, 2, 0]}), path)
    with pytest.raises(UserError, match=r"t\.parquet:2: blur is 2"):
        read_manifest(path)
    pq.write_table(pa.table({"path": [["x"]], "identity": ["a"]}), path)
    with pytest.raises(UserError, match="is not text"):
        read_manifest(path)
    pq.write_table(pa.table({"path": [None], "identity": ["a"]}), path)
    with pytest.raises(UserError, match="an empty"):
        read_manifest(path)
    whole = path.read_bytes()
    for data in (b"", b"PAR1", whole[:-10], whole[: len(whole) // 2] + b"PAR1"):
        path.write_bytes(data)
        with pytest.raises(UserError, match="not a readable Parquet"):
            read_manifest(path)


def test_a_manifest_that_cannot_be_opened_or_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(tmp_path / "no.csv")
    with pytest.raises(UserError, match=r"ends in \.csv or \.parquet"):
        write_manifest(tmp_path / "m.json", [], [])
    assert os.listdir(tmp_path) == []


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/."), min_size=1, max_size=12
).filter(lambda name: name.strip() == name)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES, st.floats(0, 1, width=32)), min_size=1, max_size=6))
def test_any_name_survives_both_formats(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, float]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    keys = [f"{place}/{name}" for place, (name, _, _) in enumerate(rows)]
    people = [person for _, person, _ in rows]
    values = np.array([[value] for _, _, value in rows], np.float32)
    for ending in ("csv", "parquet"):
        path = folder / f"m.{ending}"
        write_manifest(path, keys, people, ["v"], values)
        manifest = parse_manifest(path.read_bytes(), str(path))
        assert manifest.paths == keys
        assert manifest.identities == people
        np.testing.assert_array_equal(manifest.variations, values)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_not_raised(data: bytes) -> None:
    for name in ("a.csv", "a.parquet"):
        for prefix in (b"", b"path,identity,x\n"):
            with contextlib.suppress(UserError):
                parse_manifest(prefix + data, name)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("rounds", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_mutated_manifest_is_read_or_refused_in_a_line(
    ending: str, rounds: int, tmp_path: Path
) -> None:
    path = tmp_path / f"m.{ending}"
    write_manifest(path, KEYS, ["al", "bo", "bo"], ["smiling", "young"], VALUES)
    good = path.read_bytes()
    parse_manifest(good, path.name)
    errors, slowest = mutations_refused(
        rounds, 31, [good], lambda data: parse_manifest(data, f"m.{ending}")
    )
    assert errors > rounds // 20
    assert slowest < SLOWEST
