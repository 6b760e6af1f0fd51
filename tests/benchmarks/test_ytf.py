"""Claims about YouTube Faces: splits, errata, and the frames of videos."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks import tiny
from benchmarks.fuzz import LONG, QUICK, fuzz
from benchmarks.tiny import edit, image, number_of, put
from urface.benchmarks.registry import read_benchmark
from urface.types import UserError


def test_a_video_is_a_template_of_one_medium_with_frames_by_number(tmp_path: Path) -> None:
    benchmark = read_benchmark("ytf", tiny.ytf(tmp_path))
    templates, task = benchmark.templates, benchmark.pairs[0]
    assert templates.names[:2] == ["P0/0", "P0/1"]
    assert benchmark.images.keys[:2] == [
        "P0/0/aligned_detect_0.9.jpg",
        "P0/0/aligned_detect_0.10.jpg",
    ]
    assert [number_of(benchmark.images.read(place)) for place in (0, 1)] == [9, 0]
    for place, name in enumerate(templates.names):
        entries = templates.template == place
        shown = [benchmark.images.keys[i] for i in templates.image[entries]]
        assert [key.rpartition("/")[0] for key in shown] == [name, name]
        assert len(set(templates.media[entries].tolist())) == 1
    assert len(set(templates.media.tolist())) == len(templates)
    assert task.same.tolist() == [True, False] * 10
    assert task.fold.tolist() == [k for k in range(10) for _ in range(2)]
    subjects = templates.subjects
    assert ((subjects[task.left] == subjects[task.right]) == task.same).all()


def test_unaligned_frames_are_read_where_there_are_no_aligned_ones(tmp_path: Path) -> None:
    benchmark = read_benchmark("ytf", tiny.ytf(tmp_path, "frame_images_DB", ""))
    assert benchmark.images.keys[0] == "P0/0/0.9.jpg"
    loud, which, aligner = benchmark.notes
    assert loud.startswith("WHOLE FRAMES, NOT FACES")
    assert which == "frames of frame_images_DB, pairs of splits.txt"
    assert "aligner: not recorded" in aligner
    aligned = read_benchmark("ytf", tiny.ytf(tmp_path / "aligned")).notes
    assert "only resized" in aligned[1]
    assert not any("WHOLE" in note or "column" in note for note in aligned)


def test_the_errata_are_read_when_present(tmp_path: Path) -> None:
    rows = (tiny.ytf(tmp_path) / "splits.txt").read_text().splitlines()
    corrected = [f"{row}, {row[-1]}" for row in rows]
    corrected[2] = corrected[2][:-1] + "1"
    put(tmp_path / "splits_corrected.txt", corrected)
    benchmark = read_benchmark("ytf", tmp_path)
    assert benchmark.pairs[0].same[:4].tolist() == [True, True, True, False]
    assert "1 labels changed by the errata" in benchmark.notes
    assert any("column 6 of splits_corrected.txt" in note for note in benchmark.notes)
    assert "splits_corrected.txt" in benchmark.version
    put(tmp_path / "splits_corrected.txt", rows)
    assert read_benchmark("ytf", tmp_path).pairs[0].same.tolist() == [True, False] * 10


def test_further_columns_of_the_first_list_are_passed_over(tmp_path: Path) -> None:
    rows = (tiny.ytf(tmp_path) / "splits.txt").read_text().splitlines()
    put(tmp_path / "splits.txt", [f"{row}, 7" for row in rows])
    assert read_benchmark("ytf", tmp_path).pairs[0].same.tolist() == [True, False] * 10


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, None, r"splits\.txt:1: expected a header"),
        (2, "1, 1, P0/0, P0/1", r"splits\.txt:2: .*expected split, pair"),
        (3, "1, 2, P0/0, P1/1, 0, 0", r"splits\.txt:3: .*expected split, pair"),
        (2, "x, 1, P0/0, P0/1, 1", r"splits\.txt:2: 'x': expected a split"),
        (2, "1, x, P0/0, P0/1, 1", r"splits\.txt:2: 'x': expected a pair"),
        (2, "1, 1, P0, P0/1, 1", r"splits\.txt:2: 'P0': expected Name/video"),
        (2, "1, 1, ../0, P0/1, 1", r"splits\.txt:2: '\.\./0': expected Name/video"),
        (2, "1, 1, P0/0, P0/0, 1", r"splits\.txt:2: P0/0: a video with itself"),
        (2, "1, 1, P0/0, P0/1, 2", r"splits\.txt:2: label '2': expected 0 or 1"),
        (2, "2, 1, P0/0, P0/1, 1", r"splits\.txt:2: split 2: expected 1, with 2 pairs in each"),
        (5, "2, 3, P1/0, P2/1, 0", r"splits\.txt:5: pair 3: expected 2"),
        (4, "2, 2, P1/0, P2/1, 0", r"splits\.txt:4: pair 2: expected 1"),
        (3, None, "19 pairs cannot be 10 splits of equal size"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(
    tmp_path: Path, line: int, text: str | None, message: str
) -> None:
    edit(tiny.ytf(tmp_path) / "splits.txt", line, text)
    with pytest.raises(UserError, match=message):
        read_benchmark("ytf", tmp_path)


def test_a_video_without_frames_is_a_template_without_an_image(tmp_path: Path) -> None:
    tiny.ytf(tmp_path)
    shutil.rmtree(tmp_path / "aligned_images_DB" / "P4" / "1")
    shutil.rmtree(tmp_path / "aligned_images_DB" / "P7")
    templates = read_benchmark("ytf", tmp_path).templates
    missing = templates.template[templates.image < 0]
    assert sorted(templates.names[t] for t in missing) == ["P4/1", "P7/0", "P7/1"]
    assert len(templates) == 20
    assert len(np.unique(templates.template)) == 20


@pytest.mark.parametrize("name", ["aligned_detect_1.7.jpg", "aligned_detect_0.x.jpg", "0.7.jpg"])
def test_a_frame_of_another_name_is_refused(tmp_path: Path, name: str) -> None:
    put(tiny.ytf(tmp_path) / "aligned_images_DB" / "P0" / "0" / name, image(1))
    with pytest.raises(UserError, match=r"expected frames called aligned_detect_0\.<number>\.jpg"):
        read_benchmark("ytf", tmp_path)


def test_two_frames_of_one_number_are_refused(tmp_path: Path) -> None:
    folder = tiny.ytf(tmp_path) / "aligned_images_DB" / "P0" / "0"
    put(folder / "aligned_detect_0.009.jpg", image(1))
    with pytest.raises(UserError, match="a second frame 9"):
        read_benchmark("ytf", tmp_path)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    tiny.ytf(tmp_path)
    shutil.move(tmp_path / "aligned_images_DB", tmp_path / "frame_images_DB")
    (tmp_path / "frame_images_DB" / "P0").rename(tmp_path / "P0")
    shutil.rmtree(tmp_path / "frame_images_DB")
    (tmp_path / "aligned_images_DB").mkdir()
    with pytest.raises(UserError, match="no frame of the listed videos"):
        read_benchmark("ytf", tmp_path)
    (tmp_path / "aligned_images_DB").rmdir()
    with pytest.raises(UserError, match="aligned_images_DB or frame_images_DB in it"):
        read_benchmark("ytf", tmp_path)


def fuzz_list(root: Path, rounds: int) -> None:
    tiny.ytf(root)
    rows = (root / "splits.txt").read_text().splitlines()
    put(root / "splits_corrected.txt", [f"{row}, {row[-1]}" for row in rows])
    fuzz([root / "splits_corrected.txt"], lambda: read_benchmark("ytf", root), rounds // 2)
    (root / "splits_corrected.txt").unlink()
    fuzz([root / "splits.txt"], lambda: read_benchmark("ytf", root), rounds - rounds // 2)


def test_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    fuzz_list(tmp_path, QUICK)


@pytest.mark.slow
def test_ten_thousand_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    fuzz_list(tmp_path, LONG)
