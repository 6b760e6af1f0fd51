"""Claims about every miniature of pairs: it is read, whole, and the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.registry import BENCHMARKS, read_benchmark, write_miniature

# name -> images, templates, pairs of each kind, parts
COUNTS = {
    "lfw": (120, 120, 120, 1),
    "cfp_ff": (200, 200, 140, 11),
    "cfp_fp": (280, 280, 140, 11),
    "agedb_30": (120, 120, 120, 1),
    "calfw": (120, 120, 120, 1),
    "cplfw": (240, 240, 120, 1),
    "xqlfw": (120, 120, 120, 1),
    "vgg2_fp": (240, 240, 120, 1),
    "sllfw": (120, 120, 120, 1),
    "ytf": (240, 60, 60, 1),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Benchmark]:
    root = tmp_path_factory.mktemp("miniatures")
    for name in COUNTS:
        write_miniature(name, root / name, seed=0)
    return {name: read_benchmark(name, root / name) for name in COUNTS}


@pytest.mark.parametrize("name", COUNTS)
def test_a_miniature_has_its_counts(written: dict[str, Benchmark], name: str) -> None:
    images, templates, each_kind, parts = COUNTS[name]
    benchmark = written[name]
    task = benchmark.pairs[0]
    assert len(benchmark.images) <= images
    assert len(benchmark.images) >= 0.6 * images  # not every image is drawn into a pair
    assert len(benchmark.templates) <= templates
    assert (int(task.same.sum()), int((~task.same).sum())) == (each_kind, each_kind)
    assert len(benchmark.pairs) == parts
    assert (benchmark.templates.image >= 0).all()
    for fold in range(10):
        assert int(task.same[task.fold == fold].sum()) == each_kind // 10


@pytest.mark.parametrize("name", COUNTS)
def test_its_images_are_aligned_faces_and_its_labels_those_of_its_people(
    written: dict[str, Benchmark], name: str
) -> None:
    benchmark = written[name]
    task, subjects = benchmark.pairs[0], benchmark.templates.subjects
    assert benchmark.images.read(len(benchmark.images) - 1).shape == (112, 112, 3)
    assert ((subjects[task.left] == subjects[task.right]) == task.same).all()
    pairs = np.stack([np.minimum(task.left, task.right), np.maximum(task.left, task.right)])
    assert len(np.unique(pairs, axis=1).T) == len(task.same)


def test_folds_share_no_person(written: dict[str, Benchmark]) -> None:
    for benchmark in written.values():
        task, subjects = benchmark.pairs[0], benchmark.templates.subjects
        people = [
            {*subjects[task.left[task.fold == k]], *subjects[task.right[task.fold == k]]}
            for k in range(10)
        ]
        assert len(set().union(*people)) == sum(len(of_fold) for of_fold in people)


def test_every_benchmark_of_pairs_is_tested_here() -> None:
    modules = {"lfw", "cfp", "calfw", "verification_set", "ytf"}
    assert {name for name, entry in BENCHMARKS.items() if entry.module in modules} == set(COUNTS)


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_the_seed_decides_the_whole(tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_miniature("lfw", tmp_path / folder, seed)
    a, b, c = (files(tmp_path / folder) for folder in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert a["pairs.txt"] != c["pairs.txt"]
    key = next(key for key in a if key.endswith(".jpg"))
    assert a[key] != c[key]
