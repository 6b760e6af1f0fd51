"""Claims about LFW's folders, tars and lists of pairs, and XQLFW's in the same form."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from benchmarks import tiny
from benchmarks.fuzz import LONG, QUICK, fuzz
from benchmarks.tiny import edit, image, number_of, put
from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.registry import read_benchmark
from urface.data.decode import DecodeError
from urface.data.lfw import read_pairs, resolve_pairs
from urface.data.open import open_faces
from urface.data.verification_bin import write_verification_bin
from urface.types import UserError


def tar_of(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w") as tar:
        tar.add(folder, arcname=folder.name)
    return path


def numbers(benchmark: Benchmark) -> list[tuple[int, int, bool, int]]:
    """(left, right, same, fold) of each pair, images by their numbers."""
    task, templates = benchmark.pairs[0], benchmark.templates
    seen = [number_of(benchmark.images.read(place)) for place in templates.image.tolist()]
    columns = zip(task.left, task.right, task.same, task.fold, strict=True)
    return [(seen[a], seen[b], bool(same), int(fold)) for a, b, same, fold in columns]


EXPECTED = [
    row
    for k in range(10)
    for row in [(10 * k + 1, 10 * k + 2, True, k), (10 * k + 2, 100 + 10 * k + 1, False, k)]
]


@pytest.mark.parametrize("kind", ["folder", "tar", "bin"])
def test_a_changed_file_changes_the_stamp(kind: str, tmp_path: Path) -> None:
    root = tiny.lfw(tmp_path / "set")
    changed = root / "images" / "P3" / "P3_0001.png"
    if kind == "tar":
        root = changed = tar_of(root, tmp_path / "set.tar")
    elif kind == "bin":
        plain = [image(number) for row in EXPECTED for number in row[:2]]
        root = tmp_path / "lfw.bin"
        write_verification_bin(root, plain, [row[2] for row in EXPECTED])

    def stamps() -> list[bytes]:
        images = read_benchmark("lfw", root).images
        assert images.stamp is not None
        return [images.stamp(place) for place in range(len(images))]

    before = stamps()
    assert stamps() == before
    assert len(set(before)) > 1
    if kind == "bin":
        plain[0] = image(999)
        write_verification_bin(root, plain, [row[2] for row in EXPECTED])
    else:
        os.utime(changed, ns=(1, 1))
    after = stamps()
    differ = sum(a != b for a, b in zip(before, after, strict=True))
    assert differ == (len(before) if kind == "tar" else 1)


def test_pairs_lead_to_their_images(tmp_path: Path) -> None:
    benchmark = read_benchmark("lfw", tiny.lfw(tmp_path))
    assert numbers(benchmark) == EXPECTED
    assert len(benchmark.images) == len(benchmark.templates) == 30
    assert benchmark.templates.subjects[:4].tolist() == [0, 0, 1, 2]
    assert benchmark.pairs[0].measures == ("accuracy", "eer", "auc")
    assert "as they lie, aligner: not recorded" in benchmark.notes[0]
    assert len(benchmark.notes) == 1


def test_images_may_lie_beside_the_list_in_a_folder_or_a_tar(tmp_path: Path) -> None:
    tiny.lfw(tmp_path / "flat", images=".")
    assert numbers(read_benchmark("lfw", tmp_path / "flat")) == EXPECTED
    tiny.lfw(tmp_path / "inner", listing="images/pairs.txt")
    assert numbers(read_benchmark("lfw", tmp_path / "inner")) == EXPECTED
    whole = tiny.lfw(tmp_path / "tarred")
    tar = tar_of(whole / "images", whole / "lfw.tar")
    shutil.rmtree(whole / "images")
    assert numbers(read_benchmark("lfw", whole)) == EXPECTED
    assert numbers(read_benchmark("lfw", tar)) == EXPECTED
    (whole / "pairs.txt").rename(whole / "lfw_pairs.txt")
    assert numbers(read_benchmark("lfw", tar)) == EXPECTED


def test_who_aligned_the_images_is_in_the_notes(tmp_path: Path) -> None:
    whole = tiny.lfw(tmp_path)
    put(whole / "aligner.txt", ["MTCNN"])
    tar = tar_of(whole / "images", whole / "lfw.tar")
    for root in (tar, whole):
        note = read_benchmark("lfw", root).notes[0]
        assert "aligner: MTCNN; images that were not aligned are only resized" in note
        shutil.rmtree(whole / "images", ignore_errors=True)


def test_the_list_may_lie_inside_the_tar(tmp_path: Path) -> None:
    tiny.lfw(tmp_path / "a", images="lfw", listing="lfw/pairs.txt")
    tar = tar_of(tmp_path / "a" / "lfw", tmp_path / "lfw.tar")
    assert numbers(read_benchmark("lfw", tar)) == EXPECTED
    edit(tmp_path / "a" / "lfw" / "pairs.txt", 3, "P0\t2\tQ0\tx")
    tar = tar_of(tmp_path / "a" / "lfw", tmp_path / "lfw.tar")
    with pytest.raises(UserError, match=r"lfw\.tar:lfw/pairs\.txt:3:"):
        read_benchmark("lfw", tar)


def test_xqlfw_is_read_by_its_own_list(tmp_path: Path) -> None:
    tiny.lfw(tmp_path, images="xqlfw_aligned_112", listing="xqlfw_pairs.txt")
    benchmark = read_benchmark("xqlfw", tmp_path)
    assert numbers(benchmark) == EXPECTED
    assert "XQLFW" in benchmark.version
    with pytest.raises(UserError, match=r"no lfw_pairs\.txt or pairs\.txt"):
        read_benchmark("lfw", tmp_path)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "9\t1", "20 pairs, but its first line promises 9 x 2 x 1"),
        (1, "5\t2", r"pairs\.txt:3: .*one person"),
        (2, "P0\t1", r"pairs\.txt:2:"),
        (2, "P0\t1\t2\t3", r"pairs\.txt:2:"),
        (3, "P0\t2\tQ0\tx", r"pairs\.txt:3:"),
        (3, f"P0\t2\tQ0\t{'9' * 5000}", r"pairs\.txt:3:"),
        (3, "P0\t2\tP0\t1", r"pairs\.txt:3: .*one person as two"),
        (3, None, "promises"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(
    tmp_path: Path, line: int, text: str | None, message: str
) -> None:
    edit(tiny.lfw(tmp_path) / "pairs.txt", line, text)
    with pytest.raises(UserError, match=message):
        read_benchmark("lfw", tmp_path)


def test_other_than_ten_folds_is_another_protocol(tmp_path: Path) -> None:
    lines = (tiny.lfw(tmp_path) / "pairs.txt").read_text().splitlines()
    put(tmp_path / "pairs.txt", ["4\t1", *lines[1:9]])
    with pytest.raises(UserError, match=r"pairs\.txt:1: 4 folds: the protocol has 10"):
        read_benchmark("lfw", tmp_path)


def test_a_missing_image_is_a_template_without_one(tmp_path: Path) -> None:
    (tiny.lfw(tmp_path) / "images" / "Q4" / "Q4_0001.png").unlink()
    benchmark = read_benchmark("lfw", tmp_path)
    missing = benchmark.templates.names.index("Q4/Q4_0001")
    assert benchmark.templates.image[missing] == -1
    assert (benchmark.templates.image >= 0).sum() == len(benchmark.images) == 29
    assert missing in benchmark.pairs[0].right
    assert len(benchmark.pairs[0].same) == 20


def test_a_damaged_image_fails_when_it_is_read(tmp_path: Path) -> None:
    put(tiny.lfw(tmp_path) / "images" / "P0" / "P0_0001.png", image(1)[:40])
    benchmark = read_benchmark("lfw", tmp_path)
    with pytest.raises(DecodeError, match="P0/P0_0001"):
        benchmark.images.read(benchmark.images.keys.index("P0/P0_0001"))


def test_images_of_no_pair_or_in_two_places_are_refused(tmp_path: Path) -> None:
    tiny.lfw(tmp_path)
    shutil.rmtree(tmp_path / "images")
    with pytest.raises(
        UserError, match="expected one folder or tar of people's images, found none"
    ):
        read_benchmark("lfw", tmp_path)
    put(tmp_path / "one" / "X" / "X_0001.png", image(1))
    with pytest.raises(UserError, match="none of the pairs' images"):
        read_benchmark("lfw", tmp_path)
    put(tmp_path / "two" / "X" / "X_0001.png", image(1))
    with pytest.raises(UserError, match="found one, two"):
        read_benchmark("lfw", tmp_path)
    with pytest.raises(UserError, match=r"expected a folder, a \.tar or a \.bin"):
        read_benchmark("lfw", tmp_path / "pairs.txt")
    with pytest.raises(UserError, match=r"no such file or folder; .*make-miniature lfw"):
        read_benchmark("lfw", tmp_path / "nowhere")


def test_a_list_and_a_bin_together_are_ambiguous(tmp_path: Path) -> None:
    tiny.lfw(tmp_path)
    same = [True, False] * 10
    write_verification_bin(tmp_path / "lfw.bin", [image(k) for k in range(40)], same)
    with pytest.raises(UserError, match=r"both lfw\.bin and pairs\.txt"):
        read_benchmark("lfw", tmp_path)
    assert len(read_benchmark("lfw", tmp_path / "lfw.bin").images) == 40


def fuzz_list(root: Path, rounds: int) -> None:
    tiny.lfw(root)
    fuzz([root / "pairs.txt"], lambda: read_benchmark("lfw", root), rounds)


def test_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    fuzz_list(tmp_path, QUICK)


@pytest.mark.slow
def test_ten_thousand_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    fuzz_list(tmp_path, LONG)


def test_the_real_thing_is_6000_pairs_with_none_missing(shared_dir: Path) -> None:
    benchmark = read_benchmark("lfw", shared_dir / "data" / "lfw112.tar")
    task = benchmark.pairs[0]
    assert len(task.same) == 6000
    assert len(set(task.fold.tolist())) == 10
    assert (task.same.sum(), (benchmark.templates.image < 0).sum()) == (3000, 0)
    assert len(benchmark.images) == 7701
    assert len(benchmark.notes) == 1
    assert benchmark.images.read(7700).shape == (112, 112, 3)


def test_the_real_thing_as_a_bin_is_the_same_pairs(shared_dir: Path, tmp_path: Path) -> None:
    faces = open_faces(shared_dir / "data" / "lfw112.tar")
    pairs = read_pairs(shared_dir / "data" / "lfw_pairs.txt")
    left, right = resolve_pairs(pairs, faces)
    images = [faces.read(int(place)) for pair in zip(left, right, strict=True) for place in pair]
    write_verification_bin(tmp_path / "lfw.bin", images, pairs.same)
    of_bin = read_benchmark("lfw", tmp_path)
    of_tar = read_benchmark("lfw", shared_dir / "data" / "lfw112.tar")
    assert len(of_bin.images) == len(of_tar.images)  # so that each is embedded as often
    for column in ("left", "right", "same", "fold"):
        assert (getattr(of_bin.pairs[0], column) == getattr(of_tar.pairs[0], column)).all(), column
    for place in range(0, len(of_bin.images), 500):
        assert (of_bin.images.read(place) == of_tar.images.read(place)).all()
