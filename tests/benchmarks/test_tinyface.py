"""Claims about TinyFace's identification test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from urface.benchmarks.benchmark import NOBODY
from urface.benchmarks.registry import read_benchmark, write_miniature
from urface.benchmarks.tinyface import read
from urface.data.decode import DecodeError
from urface.types import UserError

from .damage import without

PROBES, MATCHES = "probe_img_ID_pairs.mat", "gallery_match_img_ID_pairs.mat"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "tinyface"
    write_miniature("tinyface", folder)
    return folder


def test_the_miniature_reads_with_its_counts(root: Path) -> None:
    found = read_benchmark("tinyface", root)
    (task,) = found.searches
    assert (len(task.probes), len(task.gallery), len(found.images)) == (36, 64, 100)
    assert task.measures == ("map", "rank1", "rank5", "rank10", "rank20")
    subjects = found.templates.subjects
    assert int((subjects[task.gallery] == NOBODY).sum()) == 40
    assert np.isin(subjects[task.probes], subjects[task.gallery]).all()
    assert NOBODY not in subjects[task.probes]


def test_identities_are_those_that_scipy_reads(root: Path) -> None:
    found = read_benchmark("tinyface", root)
    subject = dict(zip(found.images.keys, found.templates.subjects, strict=True))
    for file, prefix, folder in ((PROBES, "probe", "Probe"), (MATCHES, "gallery", "Gallery_Match")):
        lists = loadmat(root / "Testing_Set" / file)
        for cell, identity in zip(lists[f"{prefix}_set"], lists[f"{prefix}_ids"], strict=True):
            assert subject[f"{folder}/{cell[0][0]}"] == identity[0]


def test_the_testing_set_itself_may_be_named(root: Path) -> None:
    assert read(root / "Testing_Set", "tinyface").images.keys == read(root, "tinyface").images.keys


def test_images_are_read_as_they_lie_and_the_aligner_is_in_the_notes(root: Path) -> None:
    found = read_benchmark("tinyface", root)
    assert found.images.read(0).shape == (24, 24, 3)
    assert "aligner: none: rendered on the five-point template" in found.notes[0]
    with without(root / "Testing_Set" / "aligner.txt"):
        assert "aligner: not recorded" in read(root, "tinyface").notes[0]


@pytest.mark.parametrize("text", [b"", b"a\nb\n", b"\xff", b"x" * 300, b"a\x07"])
def test_an_aligner_that_is_no_line_of_text_is_refused(root: Path, text: bytes) -> None:
    file = root / "Testing_Set" / "aligner.txt"
    whole = file.read_bytes()
    file.write_bytes(text)
    try:
        with pytest.raises(UserError, match=r"aligner\.txt: "):
            read(root, "tinyface")
    finally:
        file.write_bytes(whole)


def test_a_missing_image_of_a_list_is_a_counted_failure(root: Path) -> None:
    with without(root / "Testing_Set" / "Probe" / "3_2.jpg"):
        found = read_benchmark("tinyface", root)
        with pytest.raises(DecodeError):
            found.images.read(found.images.keys.index("Probe/3_2.jpg"))
    assert len(found.searches[0].probes) == 36


@contextmanager
def listed(file: Path, names: list[object], ids: list[float]) -> Iterator[None]:
    """``file`` holding these names and identities for a while."""
    prefix = "probe" if file.name.startswith("probe") else "gallery"
    whole = file.read_bytes()
    cells = np.empty((len(names), 1), object)
    cells[:, 0] = names
    column = np.array(ids, float).reshape(-1, 1)
    savemat(file, {f"{prefix}_set": cells, f"{prefix}_ids": column})
    try:
        yield
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize(
    ("names", "ids", "why"),
    [
        (["1_1.jpg", "2_1.jpg"], [1], "2 names and 1 identities"),
        (["1_1.jpg", "2_1.jpg"], [1, 3], "entry 2: 2_1.jpg is not of identity 3"),
        (["1_1.jpg", "1_1.jpg"], [1, 1], "entry 2: 1_1.jpg is there already"),
        (["1_1.jpg", "x_1.jpg"], [1, 1], "entry 2: x_1.jpg is not of identity 1"),
        (["1_1.jpg", "../1_2.jpg"], [1, 1], "entry 2: '../1_2.jpg' is no name"),
        (["1_1.jpg", "1_2.txt"], [1, 1], "entry 2: '1_2.txt' is no name"),
        (["1_1.jpg", "1_2.jpg"], [1, 1.5], "entry 2: identity 1.5 is not a whole number"),
        (["1_1.jpg", "1_2.jpg"], [1, float("nan")], "entry 2: identity nan"),
        (["1_1.jpg", "1_2.jpg"], [1, -7], "entry 2: identity -7"),
        (["1_1.jpg", "1_2.jpg"], [1, -100], "entry 2: 1_2.jpg is a distractor"),
        (["1_1.jpg", "99_1.jpg"], [1, 99], "99_1.jpg has no mate in the gallery"),
        ([], [], "0 names"),
    ],
)
def test_lists_that_do_not_fit_are_refused_with_file_and_entry(
    root: Path, names: list[object], ids: list[float], why: str
) -> None:
    file = root / "Testing_Set" / PROBES
    with listed(file, names, ids), pytest.raises(UserError, match=why) as error:
        read(root, "tinyface")
    assert str(error.value).startswith(f"{file}: ")


def test_identities_with_leading_zeros_in_names_are_the_same(root: Path) -> None:
    with listed(root / "Testing_Set" / PROBES, ["0001_1.jpg"], [1]):
        assert read(root, "tinyface").templates.subjects[0] == 1


def test_no_distractors_or_no_list_is_refused(root: Path) -> None:
    base = root / "Testing_Set"
    with without(base / "Gallery_Distractor"), pytest.raises(UserError, match="cannot be read"):
        read(root, "tinyface")
    with without(base / MATCHES), pytest.raises(UserError, match="cannot be read"):
        read(root, "tinyface")
    with without(base / "Gallery_Distractor"):
        (base / "Gallery_Distractor").mkdir()
        with pytest.raises(UserError, match="another test"):
            read(root, "tinyface")
        (base / "Gallery_Distractor").rmdir()
