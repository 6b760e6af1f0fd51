"""Joined data sets: who is whom, what is known, which bytes."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from urface.data.decode import encode_png
from urface.data.join import join, with_equal_digits
from urface.data.manifest import write_manifest
from urface.data.open import open_faces
from urface.data.source import FaceSource, build_source, narrow, select, stamp_of
from urface.types import UserError


def made(name: str, keys: list[str], columns: tuple[str, ...] = ()) -> FaceSource:
    values = np.arange(len(keys) * len(columns), dtype=np.float32).reshape(len(keys), -1) / 100
    people = [key.partition("/")[0] for key in keys]
    return build_source(name, keys, people, lambda i: f"{name}:{keys[i]}".encode(), columns, values)


def test_people_of_one_name_are_one_person_and_bytes_follow_their_keys() -> None:
    first, second = made("one", ["b/2.jpg", "a/1.jpg"]), made("two", ["c/1.jpg", "b/1.jpg"])
    joined = join([first, second])
    assert joined.keys == ["a/1.jpg", "b/1.jpg", "b/2.jpg", "c/1.jpg"]
    assert joined.identities == ["a", "b", "c"]
    assert joined.labels.tolist() == [0, 1, 1, 2]
    read = [joined.read(i).decode() for i in range(4)]
    assert read == ["one:a/1.jpg", "two:b/1.jpg", "one:b/2.jpg", "two:c/1.jpg"]


def test_a_join_of_three_reads_each_image_from_its_own_set() -> None:
    sources = [made(n, [f"{n}/{i}.jpg" for i in range(3)]) for n in ("z", "y", "x")]
    joined = join(sources)
    assert all(joined.read(i).decode() == f"{key[0]}:{key}" for i, key in enumerate(joined.keys))


def test_columns_are_united_and_unknown_where_a_set_lacks_them() -> None:
    joined = join(
        [made("one", ["a/1", "a/2"], ("smiling", "male")), made("two", ["a/0"], ("male",))]
    )
    assert joined.variation_names == ("smiling", "male")
    expected = [[np.nan, 0.0], [0.0, 0.01], [0.02, 0.03]]
    np.testing.assert_array_equal(joined.variations, np.array(expected, np.float32))


def test_an_image_in_two_sets_is_refused_with_both_names() -> None:
    with pytest.raises(UserError, match="a/1 is in both one and two"):
        join([made("one", ["a/1", "a/2"]), made("two", ["a/1"])])


def folder(root: Path, image: str, value: int) -> Path:
    (root / image).parent.mkdir(parents=True, exist_ok=True)
    (root / image).write_bytes(encode_png(np.full((4, 4, 3), value, np.uint8)))
    return root


def test_commas_join_data_sets_of_different_kinds(tmp_path: Path) -> None:
    first = folder(tmp_path / "first", "p1/1.png", 7)
    folder(tmp_path / "second", "p0/1.png", 9)
    write_manifest(
        tmp_path / "second" / "manifest.csv", ["p0/1.png"], ["p0"], ["male"], np.ones((1, 1))
    )
    joined = open_faces(f"{first}, {tmp_path / 'second'}")
    assert joined.keys == ["p0/1.png", "p1/1.png"]
    assert [int(joined.image(i)[0, 0, 0]) for i in range(2)] == [9, 7]
    np.testing.assert_array_equal(joined.variations, [[1], [np.nan]])


def test_a_path_that_exists_with_its_comma_is_not_split(tmp_path: Path) -> None:
    root = folder(tmp_path / "a,b", "p/1.png", 3)
    assert open_faces(root).keys == ["p/1.png"]


@pytest.mark.parametrize("path", ["a,,b", "a,", ","])
def test_an_empty_name_between_commas_is_refused(path: str) -> None:
    with pytest.raises(UserError, match="empty name"):
        open_faces(path)


def test_a_joined_source_can_be_selected_from_and_sent_to_a_worker(tmp_path: Path) -> None:
    first, second = (folder(tmp_path / n, f"{n}/1.png", v) for n, v in (("x", 1), ("y", 2)))
    joined = select(open_faces(f"{first},{second}"), [1])
    sent = pickle.loads(pickle.dumps(joined))
    assert sent.keys == ["y/1.png"]
    assert int(sent.image(0)[0, 0, 0]) == 2


def test_only_the_images_of_celeba_are_mapped_to_the_template() -> None:
    frame, aligned = np.zeros((109, 89, 3), np.uint8), np.full((64, 64, 3), 5, np.uint8)
    celeba = build_source(
        "celeba", ["p/1"], ["p"], lambda i: encode_png(frame), celeba_frame=np.ones(1, bool)
    )
    other = build_source("other", ["p/0"], ["p"], lambda i: encode_png(aligned))
    joined = join([celeba, other])
    assert [joined.image(i).shape for i in range(2)] == [(64, 64, 3), (112, 112, 3)]
    assert select(joined, [1, 0]).image(0).shape == (112, 112, 3)


def test_celebas_two_parts_are_one_set_of_9299_people(shared_dir: Path) -> None:
    data = shared_dir / "data"
    joined = open_faces(f"{data / 'celeba.tar'},{data / 'celeba64.tar'}")
    assert (len(joined), len(joined.identities)) == (38_459, 9_299)
    assert int((~np.isnan(joined.variations[:, 0])).sum()) == 10_000


def test_equal_digits_leave_one_source_as_it_is() -> None:
    alone = made("one", ["5/a.jpg", "10/a.jpg"])
    assert with_equal_digits([alone]) == [alone]
    assert alone.identities == ["10", "5"]


def test_equal_digits_keep_keys_ascending_and_labels_and_bytes_with_them() -> None:
    keys = ["5/a.jpg", "10/a.jpg", "05/b.jpg", "10/b.jpg"]
    first, second = with_equal_digits([made("one", keys, ("male",)), made("two", ["7/a.jpg"])])
    assert first.keys == ["05/a.jpg", "05/b.jpg", "10/a.jpg", "10/b.jpg"]
    assert (first.identities, first.labels.tolist()) == (["05", "10"], [0, 0, 1, 1])
    read = [first.read(place).decode() for place in range(4)]
    assert read == ["one:5/a.jpg", "one:05/b.jpg", "one:10/a.jpg", "one:10/b.jpg"]
    np.testing.assert_array_equal(first.variations[:, 0], np.float32([0, 0.02, 0.01, 0.03]))
    joined = join([first, second])
    assert joined.identities == ["05", "07", "10"]
    assert joined.labels.tolist() == [0, 0, 1, 2, 2]


def test_two_images_that_equal_digits_would_make_one_are_refused() -> None:
    with pytest.raises(UserError, match=r"one: two image entries are named '05/a.jpg'"):
        with_equal_digits([made("one", ["5/a.jpg", "05/a.jpg"]), made("two", ["10/a.jpg"])])


def test_a_part_of_a_join_reads_its_own_images_and_carries_no_others(tmp_path: Path) -> None:
    sets = []
    for name in ("one", "two", "three"):
        for number in range(40):
            folder(tmp_path / name, f"{name}{number % 7}/{number:03d}.png", number)
        sets.append(open_faces(tmp_path / name))
    joined = join(sets)
    for places in (range(50), range(30, 50), range(119, 120)):
        part = narrow(joined, places)
        assert part.keys == joined.keys[places.start : places.stop]
        assert [part.read(i) for i in range(len(part))] == [joined.read(i) for i in places]
    assert len(pickle.dumps(narrow(joined, range(3)).read_bytes)) < 1500
    assert len(pickle.dumps(joined.read_bytes)) > 4000  # the control


def test_a_changed_file_of_a_join_is_told(tmp_path: Path) -> None:
    first, second = (
        open_faces(folder(tmp_path / name, f"{name}/a.png", 1)) for name in ("one", "two")
    )
    joined = join([first, second])
    stamp = stamp_of(joined.read_bytes)
    assert stamp is not None
    before = [stamp(i) for i in range(2)]
    place = joined.keys.index("two/a.png")
    os.utime(tmp_path / "two" / "two" / "a.png", ns=(1, 1))
    assert [stamp(i) == old for i, old in enumerate(before)] == [i != place for i in range(2)]
