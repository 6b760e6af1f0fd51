"""Claims about benchmarks that lie in InsightFace's ``<name>.bin``; the file itself has its own tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tiny import image, number_of
from urface.benchmarks.registry import BENCHMARKS, read_benchmark
from urface.data.decode import DecodeError
from urface.data.verification_bin import write_verification_bin
from urface.types import UserError

IN_BINS = [
    name
    for name in BENCHMARKS
    if BENCHMARKS[name].module in ("lfw", "cfp", "calfw", "verification_set")
]
SAME = np.array([True, False] * 10)


def write(root: Path, name: str, images: list[bytes], same: np.ndarray = SAME) -> Path:
    path = root / f"{name}.bin"
    write_verification_bin(path, images, same)
    return path


def distinct(count: int) -> list[bytes]:
    return [image(place) for place in range(count)]


@pytest.mark.parametrize("name", IN_BINS)
def test_each_name_is_read_from_its_file_and_from_its_folder(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, distinct(40))
    for root in (path, tmp_path):
        benchmark = read_benchmark(name, root)
        task = benchmark.pairs[0]
        assert (benchmark.name, len(benchmark.images), len(task.same)) == (name, 40, 20)
        assert task.left.tolist() == [*range(0, 40, 2)]
        assert task.right.tolist() == [*range(1, 40, 2)]
        assert task.same.tolist() == SAME.tolist()
        assert task.fold.tolist() == [k for k in range(10) for _ in range(2)]
        assert number_of(benchmark.images.read(17)) == 17


def test_an_image_of_several_pairs_is_one_and_pairs_connect_people(tmp_path: Path) -> None:
    images = distinct(40)
    images[4], images[6] = images[1], images[9]  # pair 2 is same, pair 3 is not
    benchmark = read_benchmark("agedb_30", write(tmp_path, "agedb_30", images))
    templates, task = benchmark.templates, benchmark.pairs[0]
    assert len(benchmark.images) == 38
    assert benchmark.images.keys[:7] == [f"{n:06d}" for n in (0, 1, 2, 3, 5, 6, 7)]
    assert task.left[2] == task.right[0] == 1
    assert task.left[3] == task.right[4] == 5
    subjects = templates.subjects
    assert subjects[0] == subjects[1] == subjects[4]  # images 0-1 and 1-5 are pairs of one person
    assert len(set(subjects.tolist())) == 38 - 10
    assert subjects[2] != subjects[3]


def test_an_image_that_cannot_be_decoded_fails_when_it_is_read(tmp_path: Path) -> None:
    images = distinct(40)
    images[3] = b"no image"
    benchmark = read_benchmark("sllfw", write(tmp_path, "sllfw", images))
    assert len(benchmark.images) == 40
    with pytest.raises(DecodeError, match=r"sllfw\.bin: image 3:"):
        benchmark.images.read(3)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (np.arange(15) % 2 == 0, "15 pairs cannot be 10 folds of equal size"),
        (np.ones(20, bool), "all its pairs are of one kind"),
        (np.zeros(20, bool), "all its pairs are of one kind"),
    ],
)
def test_pairs_that_are_no_ten_folds_of_both_kinds_are_refused(
    tmp_path: Path, pairs: np.ndarray, message: str
) -> None:
    path = write(tmp_path, "agedb_30", distinct(2 * len(pairs)), pairs)
    with pytest.raises(UserError, match=message):
        read_benchmark("agedb_30", path)


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "sllfw", distinct(40))
    with pytest.raises(UserError, match=r"no agedb_30\.bin in it"):
        read_benchmark("agedb_30", tmp_path)
