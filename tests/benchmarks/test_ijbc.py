"""Claims about IJB-B and IJB-C as InsightFace packages them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.ijbc import read
from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.registry import read_benchmark, write_miniature
from urface.data.decode import DecodeError, decode_image
from urface.types import UserError

from .damage import damaged, line, refusal, without
from .fuzz import LONG, QUICK, fuzz

META = ("face_tid_mid.txt", "name_5pts_score.txt", "template_pair_label.txt")
CSVS = ("1N_gallery_G1.csv", "1N_gallery_G2.csv", "1N_probe_mixed.csv")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "ijbc"
    write_miniature("ijbc", folder)
    return folder


def meta(root: Path, name: str) -> Path:
    return root / "meta" / f"ijbc_{name}"


def rows(root: Path, name: str, between: str = " ") -> list[list[str]]:
    return [text.split(between) for text in meta(root, name).read_text().splitlines()]


def subjects_by_csv(root: Path) -> dict[str, int]:
    return {t: int(s) for name in CSVS for t, s in rows(root, name, ",")[1:]}


def test_the_miniature_of_1_1_reads_with_its_counts(root: Path) -> None:
    found = read_benchmark("ijbc", root)
    assert (len(found.images), len(found.templates)) == (96, 648)
    (task,) = found.pairs
    assert (len(task.left), int(task.same.sum())) == (14_976, 624)
    assert not found.searches
    assert found.pooling == "media"
    assert "the whole protocol has 15,658,489" in " ".join(found.notes)


def test_pairs_entries_and_media_are_those_of_the_files_line_by_line(root: Path) -> None:
    found = read_benchmark("ijbc", root)
    names, templates, task = found.templates.names, found.templates, found.pairs[0]
    pairs = zip(task.left, task.right, task.same, strict=True)
    assert [[names[a], names[b], str(int(s))] for a, b, s in pairs] == rows(root, META[2])
    entries = zip(templates.image, templates.template, templates.media, strict=True)
    assert [[found.images.keys[i], names[t], str(m)] for i, t, m in entries] == rows(root, META[0])
    score = {row[0]: float(row[-1]) for row in rows(root, META[1])}
    assert found.images.quality is not None
    np.testing.assert_allclose(found.images.quality, [score[key] for key in found.images.keys])
    subjects = subjects_by_csv(root)
    assert templates.subjects.tolist() == [subjects[name] for name in names]


def test_a_face_comes_out_aligned_wherever_it_lies_in_its_crop(root: Path) -> None:
    found = read_benchmark("ijbc", root)
    shown = [face for shots in people(24, 4) for face in shots]
    for place in range(0, 96, 7):
        number = int(found.images.keys[place].removesuffix(".jpg"))
        face = decode_image(shown[number - 1]).astype(float)
        inner = slice(8, -8)  # at the edge a crop shows what surrounds the face
        difference = np.abs(found.images.read(place) - face)[inner, inner]
        assert difference.mean() < 5
        shifted = np.abs(np.roll(found.images.read(place), 3, axis=1) - face)[inner, inner]
        assert shifted.mean() > 1.5 * difference.mean()


@pytest.mark.parametrize(("name", "parts"), [("ijbc_1n", "G1 G2"), ("ijbb_1n", "S1 S2")])
def test_the_two_galleries_are_searched_apart_with_all_probes(
    tmp_path: Path, name: str, parts: str
) -> None:
    write_miniature(name, tmp_path / name)
    found = read_benchmark(name, tmp_path / name)
    assert [task.name for task in found.searches] == [f"gallery {part}" for part in parts.split()]
    assert len({task.group for task in found.searches}) == 1
    subjects = found.templates.subjects
    for task in found.searches:
        assert (len(task.gallery), len(task.probes)) == (12, 624)
        mated = np.isin(subjects[task.probes], subjects[task.gallery])
        assert int((~mated).sum()) == 312
        assert set(task.measures) >= {"rank1", "rank5", "rank10", "tpir@0.01", "tpir@0.1"}


def test_a_search_keeps_only_what_the_csvs_name(root: Path) -> None:
    with damaged(meta(root, CSVS[2]), lambda lines: lines.__delitem__(slice(20, None))):
        found = read_benchmark("ijbc_1n", root)
    whole = read_benchmark("ijbc_1n", root)
    assert len(found.templates) == 24 + 19
    assert set(np.unique(found.templates.template)) == set(range(43))
    place = {key: number for number, key in enumerate(whole.images.keys)}
    for number in (0, len(found.images) - 1):
        same = whole.images.read(place[found.images.keys[number]])
        np.testing.assert_array_equal(found.images.read(number), same)
    members = [[row[0], row[1]] for row in rows(root, META[0]) if row[1] in found.templates.names]
    assert [
        [found.images.keys[i], found.templates.names[t]]
        for i, t in zip(found.templates.image, found.templates.template, strict=True)
    ] == members


def test_nists_pairs_are_labelled_by_subjects(root: Path) -> None:
    labelled = read_benchmark("ijbc", root).pairs[0]
    matches = meta(root, "11_G1_G2_matches.csv")
    matches.write_text("".join(f"{a},{b}\n" for a, b, _ in rows(root, META[2])))
    try:
        with without(meta(root, META[2])):
            found = read_benchmark("ijbc", root)
            with without(meta(root, CSVS[2])), pytest.raises(UserError, match="need the subjects"):
                read(root, "ijbc")
    finally:
        matches.unlink()
    for column in ("left", "right", "same"):
        np.testing.assert_array_equal(
            getattr(found.pairs[0], column), getattr(labelled, column), column
        )
    assert "11_G1_G2_matches.csv" in " ".join(found.notes)


def test_without_csvs_the_subjects_are_what_genuine_pairs_connect(root: Path) -> None:
    with without(meta(root, CSVS[2])):
        found = read_benchmark("ijbc", root)
    truth = subjects_by_csv(root)
    both = Counter(
        (truth[name], subject)
        for name, subject in zip(found.templates.names, found.templates.subjects, strict=True)
    )
    assert len(both) == len({t for t, _ in both}) == len({s for _, s in both}) == 24


def test_a_missing_image_is_a_counted_failure(root: Path) -> None:
    with without(root / "loose_crop" / "1.jpg"):
        found = read_benchmark("ijbc", root)
        with pytest.raises(DecodeError):
            found.images.read(found.images.keys.index("1.jpg"))
    assert (len(found.images), len(found.templates)) == (96, 648)


@pytest.mark.parametrize(
    ("name", "number", "change", "why"),
    [
        (META[0], 3, lambda f: f[:2], "2 fields"),
        (META[0], 3, lambda f: [f[0], "x", f[2]], "not a whole number"),
        (META[0], 3, lambda f: ["../a.jpg", *f[1:]], "outside loose_crop"),
        (META[0], 3, lambda f: ["777.jpg", *f[1:]], "not in ijbc_name_5pts_score.txt"),
        (META[1], 3, lambda f: f[:-1], "11 fields"),
        (META[1], 3, lambda f: [f[0], "nan", *f[2:]], "not a finite number"),
        (META[1], 3, lambda f: [f[0], *["5"] * 10, f[-1]], "one point"),
        (META[1], 3, lambda f: [f[0], "9e8", *f[2:]], "million"),
        (META[2], 3, lambda f: f[:2], "2 fields"),
        (META[2], 3, lambda f: ["999999", *f[1:]], "template 999999 has no image"),
        (META[2], 3, lambda f: [f[0], "-1", f[2]], "template -1 has no image"),
        (META[2], 3, lambda f: [f[0], f[0], "1"], "with itself"),
        (META[2], 3, lambda f: [*f[:2], "2"], "neither 0 nor 1"),
        (META[2], 3, lambda f: [*f[:2], str(1 - int(f[2]))], "contradicts"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(
    root: Path, name: str, number: int, change: object, why: str
) -> None:
    file = meta(root, name)
    text = " ".join(change(line(file, number).split(" ")))  # type: ignore[operator]
    assert why in refusal(lambda: read(root, "ijbc"), file, number, text)


def test_points_that_are_given_twice_are_refused(root: Path) -> None:
    first = line(meta(root, META[1]), 1)
    assert "there already" in refusal(lambda: read(root, "ijbc"), meta(root, META[1]), 2, first)


def test_an_image_twice_in_a_template_or_without_one_is_refused(root: Path) -> None:
    first = line(meta(root, META[0]), 1)
    assert "there already" in refusal(lambda: read(root, "ijbc"), meta(root, META[0]), 2, first)
    points = line(meta(root, META[1]), 1).replace("1.jpg", "500.jpg")
    with (
        damaged(meta(root, META[1]), lambda lines: lines.append(points)),
        pytest.raises(UserError, match="97: the image is in no template"),
    ):
        read(root, "ijbc")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("999999,1", "template 999999 has no image"),
        ("x,1", "not a whole number"),
        ("1", "1 fields"),
        ("", "empty"),
    ],
)
def test_a_malformed_row_of_a_csv_is_refused(root: Path, text: str, why: str) -> None:
    for name in CSVS:
        assert why in refusal(lambda: read(root, "ijbc_1n"), meta(root, name), 2, text)


def test_a_template_with_two_subjects_is_refused(root: Path) -> None:
    file = meta(root, CSVS[2])
    template = line(file, 2).split(",")[0]
    why = refusal(lambda: read(root, "ijbc_1n"), file, 3, f"{template},99")
    assert "another SUBJECT_ID" in why
    gallery = line(meta(root, CSVS[0]), 2).split(",")
    with (
        damaged(file, lambda lines: lines.append(f"{gallery[0]},99")),
        pytest.raises(UserError, match="another subject in another csv"),
    ):
        read(root, "ijbc_1n")
    with (
        damaged(file, lambda lines: lines.append(",".join(gallery))),
        pytest.raises(UserError, match="in gallery G1 and among the probes"),
    ):
        read(root, "ijbc_1n")


def test_a_template_of_the_pairs_without_a_subject_is_refused(root: Path) -> None:
    with (
        damaged(meta(root, CSVS[2]), lambda lines: lines.pop()),
        pytest.raises(UserError, match="no subject"),
    ):
        read(root, "ijbc")


@pytest.mark.parametrize("name", META)
def test_a_missing_list_is_refused(root: Path, name: str) -> None:
    with without(meta(root, name)), pytest.raises(UserError, match="cannot be read"):
        read(root, "ijbc")


def small(root: Path) -> list[Path]:
    """The lists cut to a few rows, so that a mutation meets each of them."""
    keep = {row[0] for row in rows(root, CSVS[0], ",")[1:]}
    keep |= {row[0] for row in rows(root, CSVS[1], ",")[1:]}
    keep |= {row[0] for row in rows(root, CSVS[2], ",")[1:12]}
    for name, column in ((META[0], 1), (META[2], 0)):
        kept = [row for row in rows(root, name) if row[column] in keep]
        kept = [row for row in kept if name == META[0] or row[1] in keep]
        meta(root, name).write_text("".join(" ".join(row) + "\n" for row in kept))
    images = {row[0] for row in rows(root, META[0])}
    points = [row for row in rows(root, META[1]) if row[0] in images]
    meta(root, META[1]).write_text("".join(" ".join(row) + "\n" for row in points))
    probes = rows(root, CSVS[2], ",")[:12]
    meta(root, CSVS[2]).write_text("".join(",".join(row) + "\n" for row in probes))
    return [meta(root, name) for name in META + CSVS]


def read_both(root: Path) -> list[Benchmark]:
    return [read(root, name).check() for name in ("ijbc", "ijbc_1n")]


@pytest.mark.parametrize("rounds", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)])
def test_mutated_lists_are_read_or_refused(tmp_path: Path, rounds: int) -> None:
    write_miniature("ijbc", tmp_path / "a")
    files = small(tmp_path / "a")
    read_both(tmp_path / "a")
    fuzz(files, lambda: read_both(tmp_path / "a"), rounds)
