"""Claims about the lists of CALFW and CPLFW."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import tiny
from benchmarks.fuzz import LONG, QUICK, fuzz
from benchmarks.tiny import edit, number_of, put
from urface.benchmarks.registry import read_benchmark
from urface.types import UserError

LIST = "pairs_CALFW.txt"


def test_pairs_of_one_person_come_first_and_both_kinds_fill_each_fold(tmp_path: Path) -> None:
    benchmark = read_benchmark("calfw", tiny.calfw(tmp_path))
    task = benchmark.pairs[0]
    assert task.same.tolist() == [True] * 10 + [False] * 10
    assert task.fold.tolist() == [*range(10), *range(10)]
    seen = [number_of(benchmark.images.read(int(i))) for i in benchmark.templates.image]
    assert [seen[a] for a in task.left] == [10 * k + 1 for k in range(10)] * 2
    assert [seen[b] for b in task.right[10:]] == [10 * ((k + 1) % 10) + 2 for k in range(10)]
    assert benchmark.notes == ()


def test_folds_one_after_the_other_are_blocks_in_file_order(tmp_path: Path) -> None:
    tiny.calfw(tmp_path, "pairs_CPLFW.txt", counted=False)
    lines = (tmp_path / "pairs_CPLFW.txt").read_text().splitlines()
    woven = [row for k in range(10) for at in (2 * k, 20 + 2 * k) for row in lines[at : at + 2]]
    put(tmp_path / "pairs_CPLFW.txt", woven)
    task = read_benchmark("cplfw", tmp_path).pairs[0]
    assert task.same.tolist() == [True, False] * 10
    assert task.fold.tolist() == [k for k in range(10) for _ in range(2)]


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "P0_0001.jpg", r"CALFW\.txt:1: .*expected a file and a label"),
        (1, "P0_0001.jpg 1 1", r"CALFW\.txt:1:"),
        (1, "P0.jpg 1", r"CALFW\.txt:1: .*expected Name_number\.jpg"),
        (1, "../P0_0001.jpg 1", r"CALFW\.txt:1: .*expected Name_number\.jpg"),
        (1, "P0_0001.jpg x", r"CALFW\.txt:1: 'x': expected a label"),
        (1, "P0_0001.jpg 11", r"CALFW\.txt:1: label 11: expected 0 to 10"),
        (2, "P0_0002.jpg 0", r"CALFW\.txt:2: label 0, but the pair's first line has 1"),
        (2, "P0_0001.jpg 1", r"CALFW\.txt:2: .*an image with itself"),
        (2, None, r"CALFW\.txt:39: an odd number of lines"),
        (1, "P9_0001.jpg 0\nP9_0002.jpg 0\nP0_0001.jpg 1", "11 pairs cannot be 10 folds"),
        (1, "P9_0001.jpg 1\nP9_0002.jpg 1\nP0_0001.jpg 1", "11 pairs cannot be 10 folds"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(
    tmp_path: Path, line: int, text: str | None, message: str
) -> None:
    edit(tiny.calfw(tmp_path) / LIST, line, text)
    with pytest.raises(UserError, match=message):
        read_benchmark("calfw", tmp_path)


def test_a_label_that_is_not_the_fold_is_refused(tmp_path: Path) -> None:
    tiny.calfw(tmp_path)
    edit(tmp_path / LIST, 5, "P2_0001.jpg 4")
    edit(tmp_path / LIST, 6, "P2_0002.jpg 4")
    with pytest.raises(UserError, match=r"CALFW\.txt:5: label 4: by its place .* in fold 3"):
        read_benchmark("calfw", tmp_path)


def test_a_missing_image_is_a_template_without_one(tmp_path: Path) -> None:
    (tiny.calfw(tmp_path) / "aligned images" / "P3_0002.jpg").unlink()
    templates = read_benchmark("calfw", tmp_path).templates
    assert templates.names[int((templates.image < 0).argmax())] == "P3_0002"
    assert (templates.image < 0).sum() == 1


def test_missing_parts_are_named(tmp_path: Path) -> None:
    (tiny.calfw(tmp_path) / LIST).unlink()
    with pytest.raises(UserError, match=r"expected calfw\.bin, or pairs_CALFW\.txt and a folder"):
        read_benchmark("calfw", tmp_path)


def fuzz_list(root: Path, rounds: int) -> None:
    tiny.calfw(root)
    fuzz([root / LIST], lambda: read_benchmark("calfw", root), rounds)


def test_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    fuzz_list(tmp_path, QUICK)


@pytest.mark.slow
def test_ten_thousand_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    fuzz_list(tmp_path, LONG)
