"""Claims about what the readers of pairs share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tiny import image, number_of, put
from urface.benchmarks.image_pairs import (
    ListedPairs,
    contradictions,
    fold_by_blocks,
    index_images,
    pairs_of_images,
    read_lines,
    stem,
    whole_number,
)
from urface.types import UserError


def test_folds_are_ten_equal_blocks_in_file_order() -> None:
    assert fold_by_blocks(30, "x").tolist() == [k for k in range(10) for _ in range(3)]
    for count in (0, 5, 31):
        with pytest.raises(UserError, match=f"x: {count} pairs cannot be 10 folds"):
            fold_by_blocks(count, "x")


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    path = put(tmp_path / "a", "one\x85\u2028two\r\nthree\n\n".encode())
    assert read_lines(path) == ["one\x85\u2028two", "three", ""]
    with pytest.raises(UserError, match="not text"):
        read_lines(put(tmp_path / "b", b"\xff"))
    with pytest.raises(UserError, match="cannot be read"):
        read_lines(tmp_path)


@pytest.mark.parametrize("text", ["", "-1", "1.0", "1e3", " 1", "²", "٣", "9" * 5000])
def test_a_number_is_plain_digits(text: str) -> None:
    assert whole_number("007", "x:1", "a split") == 7
    with pytest.raises(UserError, match=r"x:1: .*expected a split, a whole number"):
        whole_number(text, "x:1", "a split")


def test_images_are_found_by_their_path_without_the_ending(tmp_path: Path) -> None:
    put(tmp_path / "b" / "x.png", image(2))
    put(tmp_path / "a" / "y.z.JPG", image(1))
    put(tmp_path / "a" / ".hidden.png", image(0))
    put(tmp_path / "a" / "notes.txt", "no image")
    place_of, read = index_images(tmp_path)
    assert place_of == {"a/y.z": 0, "b/x": 1}
    assert [number_of(read(place)) for place in (0, 1)] == [1, 2]
    put(tmp_path / "b" / "x.jpg", image(3))
    with pytest.raises(UserError, match="two images are called b/x"):
        index_images(tmp_path)


def test_the_ending_is_that_of_the_last_part() -> None:
    assert [stem(path) for path in ("a.b/c.d", "a.b/c", "c.d.e")] == ["a.b/c", "a.b/c", "c.d"]


def pairs(left: str, right: str, same: list[bool]) -> ListedPairs:
    return ListedPairs(list(left), list(right), np.array(same), np.zeros(len(same), np.int64))


def test_each_image_is_one_template_and_a_missing_one_stays() -> None:
    read = {5: "face b", 6: "face a"}.__getitem__
    listed = pairs("aab", "bcc", [True, False, False])
    made = pairs_of_images(
        "x", "v", listed, {"b": 5, "a": 6, "z": 9}, read, str.upper, where="w"
    ).check()
    assert made.images.keys == ["a", "b"]
    assert [made.images.read(place) for place in (0, 1)] == ["face a", "face b"]
    assert made.templates.names == ["a", "b", "c"]
    assert made.templates.image.tolist() == [0, 1, -1]
    assert made.templates.subjects.tolist() == [0, 1, 2]
    assert made.pairs[0].left.tolist() == [0, 0, 1]
    assert made.pairs[0].right.tolist() == [1, 2, 2]
    assert made.notes == ("1 pairs are labelled against the names of their people",)


def test_pairs_of_another_data_set_or_of_one_kind_are_refused() -> None:
    listed = pairs("ab", "bc", [True, False])
    with pytest.raises(UserError, match=r"w: none of the pairs' images, e\.g\. a, is in it"):
        pairs_of_images("x", "v", listed, {"z": 0}, lambda _: None, str, where="w")  # type: ignore[arg-type, return-value]
    listed = pairs("ab", "bc", [True, True])
    with pytest.raises(UserError, match="w: all pairs of x are of one kind"):
        pairs_of_images("x", "v", listed, {"a": 0}, lambda _: None, str, where="w")  # type: ignore[arg-type, return-value]


def test_labels_that_agree_with_the_names_need_no_note() -> None:
    subjects = np.array([0, 0, 1])
    left, right = np.array([0, 0]), np.array([1, 2])
    assert contradictions(subjects, left, right, np.array([True, False])) == ()
    assert len(contradictions(subjects, left, right, np.array([True, True]))) == 1
