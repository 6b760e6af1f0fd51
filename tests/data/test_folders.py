"""Claims about folders of faces, and about sources and the selections made from them."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from urface.data.decode import DecodeError, encode_png
from urface.data.fingerprints import take_fingerprints
from urface.data.folders import read_folder
from urface.data.open import open_faces
from urface.data.source import build_source, first_identities, select, with_min_images
from urface.types import UserError


def picture(level: int) -> bytes:
    return encode_png(np.full((8, 8, 3), level, np.uint8))


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Three people with 1, 3 and 2 images; the level of the pixels names the image."""
    level = 0
    for person, count in (("cy", 2), ("al", 1), ("bo", 3)):
        (tmp_path / person).mkdir()
        for number in range(count):
            (tmp_path / person / f"{number}.png").write_bytes(picture(level))
            level += 1
    return tmp_path


def test_a_folder_is_read_in_ascending_order_whatever_the_disk_says(faces: Path) -> None:
    source = read_folder(faces)
    assert source.keys == ["al/0.png", "bo/0.png", "bo/1.png", "bo/2.png", "cy/0.png", "cy/1.png"]
    assert source.identities == ["al", "bo", "cy"]
    assert source.labels.tolist() == [0, 1, 1, 1, 2, 2]
    assert source.labels.dtype == np.int64
    assert source.variations.shape == (6, 0)
    assert [int(source.image(i)[0, 0, 0]) for i in range(6)] == [2, 3, 4, 5, 0, 1]


def test_hidden_and_other_files_are_passed_over(faces: Path) -> None:
    (faces / "notes.txt").write_text("x")
    (faces / "al" / "thumbs.db").write_bytes(b"x")
    (faces / "al" / "._0.png").write_bytes(b"x")
    (faces / ".cache").mkdir()
    (faces / ".cache" / "a.png").write_bytes(b"x")
    (faces / "al" / "extra").mkdir()
    (faces / "empty").mkdir()
    assert len(read_folder(faces)) == 6
    assert "empty" not in read_folder(faces).identities


def test_endings_are_recognised_in_any_case(faces: Path) -> None:
    for name in ("A.JPG", "b.Jpeg", "c.WEBP"):
        (faces / "al" / name).write_bytes(b"x")
    assert len(read_folder(faces)) == 9


@pytest.mark.parametrize("place", ["top.png", "al/deep/x.png", "al/deep/er/x.png"])
def test_an_image_at_another_depth_is_refused_not_dropped(faces: Path, place: str) -> None:
    (faces / place).parent.mkdir(parents=True, exist_ok=True)
    (faces / place).write_bytes(picture(1))
    with pytest.raises(UserError, match=place.rpartition("/")[2]):
        read_folder(faces)


def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one folder per identity"):
        read_folder(tmp_path)


def test_identities_that_differ_only_in_unicode_form_are_refused(tmp_path: Path) -> None:
    for person in ("Zo\u00eb", "Zoe\u0308"):
        (tmp_path / person).mkdir()
        (tmp_path / person / f"{len(person)}.png").write_bytes(picture(1))
    with pytest.raises(UserError, match="two identity entries"):
        read_folder(tmp_path)


def test_a_missing_or_foreign_path_says_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing there: expected a folder"):
        open_faces(tmp_path / "no")
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"not a data set: expected a folder"):
        open_faces(tmp_path / "x.zip")


def test_a_file_that_vanished_or_is_corrupt_is_a_decode_error_with_its_key(faces: Path) -> None:
    source = open_faces(faces)
    (faces / "bo" / "1.png").unlink()
    (faces / "cy" / "0.png").write_bytes(picture(1)[:-9])
    with pytest.raises(DecodeError, match=r"^bo/1\.png: cannot be read"):
        source.image(2)
    with pytest.raises(DecodeError, match=r"^cy/0\.png: truncated PNG"):
        source.image(4)
    corrupt = take_fingerprints(source, progress=False).corrupt
    assert {source.keys[place] for place in corrupt} == {"bo/1.png", "cy/0.png"}
    assert "truncated PNG" in corrupt[source.keys.index("cy/0.png")]


def test_a_selection_keeps_the_order_of_identities_and_renumbers_labels(faces: Path) -> None:
    source = read_folder(faces)
    part = select(source, [5, 1, 3])
    assert part.keys == ["cy/1.png", "bo/0.png", "bo/2.png"]
    assert part.identities == ["bo", "cy"]
    assert part.labels.tolist() == [1, 0, 0]
    again = select(part, [2])
    assert again.keys == ["bo/2.png"]
    assert again.read(0) == source.read(3)
    assert again.labels.tolist() == [0]
    with pytest.raises(UserError, match="no image"):
        select(source, [])


def test_selections_by_count_and_by_identity(faces: Path) -> None:
    source = read_folder(faces)
    assert with_min_images(source, 2).identities == ["bo", "cy"]
    assert with_min_images(source, 3).keys == ["bo/0.png", "bo/1.png", "bo/2.png"]
    assert first_identities(source, 2).identities == ["al", "bo"]
    assert len(first_identities(source, 99)) == 6
    with pytest.raises(UserError, match="no identity has 4 images"):
        with_min_images(source, 4)
    with pytest.raises(UserError):
        first_identities(source, 0)


def test_equal_keys_are_refused() -> None:
    with pytest.raises(UserError, match="two image entries"):
        build_source("x", ["a/1.png", "a/1.png"], ["a", "a"], lambda i: b"")


def test_many_threads_and_spawned_workers_read_the_right_bytes(faces: Path) -> None:
    source = read_folder(faces)
    copy = pickle.loads(pickle.dumps(source.read_bytes))  # what a spawned worker receives
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(source.read, list(range(6)) * 20))
    assert got == [copy(i) for i in range(6)] * 20
