"""Claims about MegaFace without its devkit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from urface.benchmarks.benchmark import NOBODY
from urface.benchmarks.megaface import read
from urface.benchmarks.registry import read_benchmark, write_miniature
from urface.data.decode import DecodeError
from urface.data.opencv_mat import read_feature_folder, write_feature
from urface.types import UserError

from .damage import damaged, line, refusal, without
from .fuzz import LONG, QUICK, fuzz

LISTS = ("facescrub_lst", "megaface_lst", "facescrub_noises.txt", "megaface_noises.txt")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "megaface"
    write_miniature("megaface", folder)
    return folder


def test_the_miniature_reads_with_its_counts(root: Path) -> None:
    found = read_benchmark("megaface", root)
    names = [task.name for task in found.searches]
    assert names == ["10 distractors", "100 distractors", "112 distractors"]
    assert [len(task.gallery) for task in found.searches] == [10, 99, 111]
    assert [task.measures for task in found.searches] == [
        ("rank1",),
        ("rank1",),
        ("rank1", "tar@1e-6"),
    ]
    assert len(found.images) == 31 + 111
    assert "1 probe images and 1 distractors are left out" in found.notes[0]


def test_a_trial_is_every_ordered_pair_of_two_images_of_a_person(root: Path) -> None:
    found = read_benchmark("megaface", root)
    person = [key.split("/")[1] for key in found.images.keys if key.startswith("facescrub/")]
    expected = {
        (a, b)
        for a in range(len(person))
        for b in range(len(person))
        if a != b and person[a] == person[b]
    }
    for task in found.searches:
        assert task.mates is not None
        assert {(int(a), int(b)) for a, b in task.mates} == expected
        assert len(task.mates) == len(expected)


def test_galleries_hold_strangers_alone_and_each_the_smaller_ones(root: Path) -> None:
    found = read_benchmark("megaface", root)
    smaller: set[int] = set()
    for task in found.searches:
        members = set(task.gallery.tolist())
        assert smaller <= members
        smaller = members
        assert (found.templates.subjects[task.gallery] == NOBODY).all()
        assert all(found.images.keys[place].startswith("megaface/") for place in members)


def test_noisy_images_are_in_no_list(root: Path) -> None:
    found = read_benchmark("megaface", root)
    assert "facescrub/person_0/person_0_3.jpg" not in found.images.keys
    noisy = line(root / "megaface_noises.txt", 2).split("\t")[1]
    assert f"megaface/{noisy}" not in found.images.keys
    assert f"{noisy}" in (root / "megaface_lst").read_text()


def test_images_are_read_and_a_missing_one_is_a_counted_failure(root: Path) -> None:
    found = read_benchmark("megaface", root)
    for place in (0, len(found.images) - 1):
        assert found.images.read(place).shape == (112, 112, 3)
    path = root / "facescrub_images" / found.images.keys[2].partition("/")[2]
    with without(path):
        again = read_benchmark("megaface", root)
        with pytest.raises(DecodeError):
            again.images.read(2)
    assert again.images.keys == found.images.keys


def test_the_devkits_lists_say_which_strangers_there_are(root: Path) -> None:
    strangers = (root / "megaface_lst").read_text().splitlines()
    listed = root / "megaface_features_list.json_10_1"
    chosen = strangers[20:30]
    try:
        listed.write_text(json.dumps({"path": chosen}))
        found = read_benchmark("megaface", root)
        keys = [found.images.keys[place] for place in found.searches[0].gallery]
        assert keys == [f"megaface/{name}" for name in chosen]
        for bad, why in (
            ("[", "not JSON"),
            ('{"path": 3}', "no list of 10"),
            (json.dumps({"path": chosen[:9]}), "no list of 10"),
            (json.dumps({"path": [*chosen[:9], "a/b/c.jpg"]}), "entry 10: 'a/b/c.jpg' is not in"),
            (json.dumps({"path": [*chosen[:9], 7]}), "entry 10"),
            (json.dumps({"path": [*chosen[:9], chosen[0]]}), "twice"),
        ):
            listed.write_text(bad)
            with pytest.raises(UserError, match=why):
                read(root, "megaface")
    finally:
        listed.unlink()


def test_a_folder_of_feature_files_serves_the_keys_of_the_benchmark(
    root: Path, tmp_path: Path
) -> None:
    found = read_benchmark("megaface", root)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(len(found.images), 4)).astype(np.float32)
    for key, feature in zip(found.images.keys, features, strict=True):
        write_feature(tmp_path / f"{key}_algo.bin", feature)
    read_back = read_feature_folder(tmp_path, progress=False)
    row = [read_back.keys.index(key) for key in found.images.keys]
    np.testing.assert_array_equal(read_back.vectors[row], features)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("facescrub_lst", "person_1.jpg", "expected name/image"),
        ("facescrub_lst", "a/b/c.jpg", "expected name/image"),
        ("facescrub_lst", "../c.jpg", "expected name/image"),
        ("facescrub_lst", "/c.jpg", "expected name/image"),
        ("facescrub_lst", "", "image is empty"),
        ("megaface_lst", "a/b.jpg", "expected a/b/image"),
        ("megaface_lst", "a//b.jpg", "expected a/b/image"),
        ("megaface_lst", "a/b/c.jpg\t1", "2 fields"),
        ("megaface_noises.txt", "1\t2\ta/b/c.jpg", "expected the name of an image"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(
    root: Path, name: str, text: str, why: str
) -> None:
    assert why in refusal(lambda: read(root, "megaface"), root / name, 2, text)


def test_an_image_listed_twice_is_refused(root: Path) -> None:
    first = line(root / "megaface_lst", 1)
    message = refusal(lambda: read(root, "megaface"), root / "megaface_lst", 5, first)
    assert "there already" in message


@pytest.mark.parametrize("name", LISTS)
def test_a_missing_list_is_refused(root: Path, name: str) -> None:
    with without(root / name), pytest.raises(UserError, match="cannot be read"):
        read(root, "megaface")


def test_probes_without_mates_and_galleries_without_strangers_are_refused(root: Path) -> None:
    with (
        damaged(root / "facescrub_lst", lambda lines: lines.__delitem__(slice(1, None))),
        pytest.raises(UserError, match="no probe has a mate"),
    ):
        read(root, "megaface")
    every = (root / "megaface_lst").read_text().splitlines()
    with (
        damaged(root / "megaface_noises.txt", lambda lines: lines.extend(every)),
        pytest.raises(UserError, match="no stranger is left"),
    ):
        read(root, "megaface")


@pytest.mark.parametrize("rounds", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)])
def test_mutated_lists_are_read_or_refused(root: Path, rounds: int) -> None:
    files = [root / name for name in LISTS]
    fuzz(files, lambda: read(root, "megaface").check(), rounds)
