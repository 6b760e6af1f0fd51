"""Claims about CFP's own layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks import tiny
from benchmarks.fuzz import LONG, QUICK, fuzz
from benchmarks.tiny import edit, number_of, put
from urface.benchmarks.official_sizes import PAIRS, compared_with_official
from urface.benchmarks.registry import read_benchmark
from urface.types import UserError

LIST, SAME = "Protocol/Pair_list_F.txt", "Protocol/Split/FP/03/same.txt"


@pytest.mark.parametrize(("name", "second"), [("cfp_ff", 2), ("cfp_fp", 6)])
def test_indices_lead_to_the_images_of_their_list(tmp_path: Path, name: str, second: int) -> None:
    benchmark = read_benchmark(name, tiny.cfp(tmp_path))
    task, image = benchmark.pairs[0], benchmark.templates.image
    assert task.fold.tolist() == [k for k in range(10) for _ in range(2)]
    assert task.same.tolist() == [True, False] * 10
    for row, (a, b) in enumerate(zip(task.left, task.right, strict=True)):
        k, other = row // 2, (row // 2 + row % 2) % 10
        assert number_of(benchmark.images.read(int(image[a]))) == 10 * k + 1
        shown = second if row % 2 == 0 or name == "cfp_fp" else 1
        assert number_of(benchmark.images.read(int(image[b]))) == 10 * other + shown
    subjects = benchmark.templates.subjects
    assert ((subjects[task.left] == subjects[task.right]) == task.same).all()


def test_that_images_are_only_resized_is_in_the_notes(tmp_path: Path) -> None:
    tiny.cfp(tmp_path)
    assert "not aligned are only resized" in read_benchmark("cfp_ff", tmp_path).notes[0]
    put(tmp_path / "aligner.txt", ["MTCNN"])
    assert "aligner: MTCNN" in read_benchmark("cfp_ff", tmp_path).notes[0]


def test_each_split_is_also_a_part_whose_eer_and_auc_are_averaged(tmp_path: Path) -> None:
    whole, *splits = read_benchmark("cfp_fp", tiny.cfp(tmp_path)).pairs
    assert (whole.name, whole.group) == ("FP", "")
    assert whole.measures == ("accuracy", "eer", "auc")
    assert [split.name for split in splits][::9] == ["FP split 01", "FP split 10"]
    for k, split in enumerate(splits):
        assert (split.group, split.measures) == ("FP splits", ("eer", "auc"))
        assert split.left.tolist() == whole.left[whole.fold == k].tolist()
        assert split.right.tolist() == whole.right[whole.fold == k].tolist()
        assert (split.same.tolist(), split.fold.tolist()) == ([True, False], [0, 0])


@pytest.mark.parametrize(
    ("file", "line", "text", "message"),
    [
        (LIST, 2, "2", r"Pair_list_F\.txt:2: '2': expected an index and a path"),
        (LIST, 2, "3 ../Data/Images/001/frontal/02.jpg", r"F\.txt:2: index 3: expected 2"),
        (LIST, 2, "2 ../Data/Images/001/profile/01.jpg", r"F\.txt:2: .*NNN/frontal/NN\.jpg"),
        (LIST, 2, "2 ../../Images/001/frontal/02.jpg", r"F\.txt:2:"),
        (LIST, 2, "2 ../Data/Images/001/frontal/01.jpg", r"F\.txt:2: .*was listed before"),
        (LIST, 19, "", r"F\.txt:19: '': expected an index and a path"),
        (SAME, 1, "5", r"03/same\.txt:1: '5': expected two indices"),
        (SAME, 1, "5,3,1", r"same\.txt:1:"),
        (SAME, 1, "5,x", r"same\.txt:1: 'x': expected an index"),
        (SAME, 1, "0,3", r"same\.txt:1: index 0: the list has 1 to 20"),
        (SAME, 1, "5,11", r"same\.txt:1: index 11: the list has 1 to 10"),
        (SAME, 1, None, r"same\.txt: no pair in it"),
        (SAME, 1, "5,3\n6,3", "2 same and 1 diff pairs, but split 01 has 1 and 1"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(
    tmp_path: Path, file: str, line: int, text: str | None, message: str
) -> None:
    root = tiny.cfp(tmp_path)
    edit(root / file, line, text)
    with pytest.raises(UserError, match=message):
        read_benchmark("cfp_fp", root)


def test_a_list_cut_short_is_noticed_by_the_indices_that_it_lacks(tmp_path: Path) -> None:
    edit(tiny.cfp(tmp_path) / LIST, 20, None)
    with pytest.raises(UserError, match=r"FF/10/same\.txt:1: index 20: the list has 1 to 19"):
        read_benchmark("cfp_ff", tmp_path)


def test_an_image_with_itself_is_refused(tmp_path: Path) -> None:
    edit(tiny.cfp(tmp_path) / "Protocol/Split/FF/01/same.txt", 1, "1,1")
    with pytest.raises(UserError, match=r"same\.txt:1: '1,1': an image with itself"):
        read_benchmark("cfp_ff", tmp_path)


def test_a_label_against_the_names_is_noted(tmp_path: Path) -> None:
    edit(tiny.cfp(tmp_path) / SAME, 1, "5,4")
    assert "1 pairs are labelled against" in read_benchmark("cfp_fp", tmp_path).notes[1]


def test_a_missing_image_is_a_template_without_one(tmp_path: Path) -> None:
    (tiny.cfp(tmp_path) / "Data/Images/004/profile/01.jpg").unlink()
    templates = read_benchmark("cfp_fp", tmp_path).templates
    assert [n for n, i in zip(templates.names, templates.image, strict=True) if i < 0] == [
        "004/profile/01"
    ]


def test_missing_parts_are_named(tmp_path: Path) -> None:
    tiny.cfp(tmp_path)
    shutil.rmtree(tmp_path / "Protocol/Split/FF")
    with pytest.raises(UserError, match="FF: no such folder"):
        read_benchmark("cfp_ff", tmp_path)
    shutil.rmtree(tmp_path / "Protocol/Split/FP/07")
    with pytest.raises(UserError, match="its folders are not the splits 01 to 10"):
        read_benchmark("cfp_fp", tmp_path)
    (tmp_path / LIST).unlink()
    with pytest.raises(UserError, match=r"Pair_list_F\.txt: cannot be read"):
        read_benchmark("cfp_fp", tmp_path)
    put(tmp_path / LIST, "")
    with pytest.raises(UserError, match=r"Pair_list_F\.txt: no image listed"):
        read_benchmark("cfp_fp", tmp_path)
    shutil.rmtree(tmp_path / "Data")
    with pytest.raises(UserError, match=r"expected Data/Images and Protocol in it, or cfp_fp\.bin"):
        read_benchmark("cfp_fp", tmp_path)


def fuzz_lists(root: Path, rounds: int) -> None:
    tiny.cfp(root)
    files = [root / "Protocol" / f"Pair_list_{view}.txt" for view in "FP"]
    files += [root / "Protocol/Split/FP/02" / f"{kind}.txt" for kind in ("same", "diff")]
    fuzz(files, lambda: read_benchmark("cfp_fp", root), rounds)


def test_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    fuzz_lists(tmp_path, QUICK)


@pytest.mark.slow
def test_ten_thousand_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    fuzz_lists(tmp_path, LONG)


def test_the_pairs_of_the_whole_are_counted_once_beside_the_published_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ten splits hold them once more: real CFP would be said to have 14,000 of 7,000."""
    benchmark = read_benchmark("cfp_fp", tiny.cfp(tmp_path))
    assert compared_with_official(benchmark).startswith("20 pairs, the published cfp_fp has 7,000")
    monkeypatch.setitem(PAIRS, "cfp_fp", 20)
    assert compared_with_official(benchmark) == ""
