"""Claims about IJB-A in NIST's layout."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.ijba import NOSE_BASE, read
from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.registry import read_benchmark, write_miniature
from urface.data.decode import DecodeError, decode_image
from urface.template import TEMPLATE
from urface.types import UserError

from .damage import damaged, line, refusal, without
from .fuzz import LONG, QUICK, fuzz

SHEET = "IJB-A_11_sets/split2/verify_metadata_2.csv"
PAIRS = "IJB-A_11_sets/split2/verify_comparisons_2.csv"
GALLERY = "IJB-A_1N_sets/split2/search_gallery_2.csv"
PROBE = "IJB-A_1N_sets/split2/search_probe_2.csv"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "ijba"
    write_miniature("ijba", folder)
    return folder


def rows(file: Path) -> list[dict[str, str]]:
    with open(file, newline="") as text:
        return list(csv.DictReader(text))


def subjects(file: Path) -> dict[str, str]:
    return {row["TEMPLATE_ID"]: row["SUBJECT_ID"] for row in rows(file)}


def test_the_miniature_of_1_1_reads_with_its_counts(root: Path) -> None:
    found = read_benchmark("ijba", root)
    assert (len(found.images), len(found.templates)) == (80, 800)
    assert [task.name for task in found.pairs] == [f"split {n}" for n in range(1, 11)]
    assert len({task.group for task in found.pairs}) == 1
    for task in found.pairs:
        assert (len(task.left), int(task.same.sum())) == (3160, 120)
        assert task.measures == ("tar@1e-3", "tar@1e-2")


def test_a_split_holds_the_pairs_of_its_file_labelled_by_subject(root: Path) -> None:
    found = read_benchmark("ijba", root)
    task, names = found.pairs[1], found.templates.names
    who = subjects(root / SHEET)
    expected = []
    for pair in (root / PAIRS).read_text().splitlines():
        a, b = pair.split(",")
        expected.append((f"split2/{a}", f"split2/{b}", who[a] == who[b]))
    pairs = zip(task.left, task.right, task.same, strict=True)
    assert [(names[a], names[b], bool(s)) for a, b, s in pairs] == expected


def test_templates_hold_the_rows_of_their_sheet_with_their_media(root: Path) -> None:
    found = read_benchmark("ijba", root)
    templates = found.templates
    entries = [
        (templates.names[t], found.images.keys[i].rpartition("@")[0], str(m))
        for i, t, m in zip(templates.image, templates.template, templates.media, strict=True)
    ]
    expected = [
        (f"split2/{row['TEMPLATE_ID']}", row["FILE"], row["MEDIA_ID"]) for row in rows(root / SHEET)
    ]
    assert [entry for entry in entries if entry[0].startswith("split2/")] == expected
    assert len({medium for _, _, medium in expected}) < len({file for _, file, _ in expected})


def test_the_miniature_of_1_n_reads_with_its_counts(root: Path) -> None:
    found = read_benchmark("ijba_1n", root)
    who = found.templates.subjects
    assert len(found.searches) == 10
    for task in found.searches:
        assert (len(task.gallery), len(task.probes)) == (14, 368)
        assert int((~np.isin(who[task.probes], who[task.gallery])).sum()) == 312
    names = [found.templates.names[place] for place in found.searches[1].gallery]
    assert sorted(names) == sorted(f"split2/{t}" for t in subjects(root / GALLERY))


def shown(key: str) -> tuple[int, int]:
    """Person and shot of a face of the miniature that is alone in its file."""
    folder, _, file = key.rpartition("@")[0].partition("/")
    if folder == "frame":
        person, shot = file.removesuffix(".jpg").split("_")
        return int(person) - 1, int(shot)
    return divmod(int(file.removesuffix(".jpg")) - 1, 2)


def difference(found: Benchmark, key: str) -> float:
    person, shot = shown(key)
    face = decode_image(people(20, 4)[person][shot]).astype(float)
    image = found.images.read(found.images.keys.index(key))
    return float(np.abs(image - face)[8:-8, 8:-8].mean())


def test_three_landmarks_align_a_face_and_a_box_does_so_only_roughly(root: Path) -> None:
    found = read_benchmark("ijba", root)
    sheets = root.glob("IJB-A_11_sets/*/verify_metadata_*.csv")
    given = {row["FILE"]: row["NOSE_BASE_X"] != "" for sheet in sheets for row in rows(sheet)}
    alone = [key for key in found.images.keys if key.partition("@")[0] != "img/1.jpg"]
    by_points = [k for k in alone if given[k.rpartition("@")[0]]]
    by_box = [k for k in alone if not given[k.rpartition("@")[0]]]
    assert len(by_box) > 5
    assert np.mean([difference(found, key) for key in by_points[:12]]) < 6
    for key in by_box[:5]:
        assert found.images.read(found.images.keys.index(key)).shape == (112, 112, 3)


def test_two_people_in_one_picture_are_two_faces(root: Path) -> None:
    found = read_benchmark("ijba", root)
    both = [p for p, key in enumerate(found.images.keys) if key.startswith("img/1.jpg@")]
    assert len(both) == 2
    who = {
        int(found.templates.subjects[t])
        for i, t in zip(found.templates.image, found.templates.template, strict=True)
        if i in both
    }
    assert who == {1, 2}
    faces = [decode_image(people(20, 4)[person][0]).astype(float) for person in (0, 1)]
    near = [[np.abs(found.images.read(p) - face).mean() for face in faces] for p in both]
    assert sorted(np.argmin(near, axis=1)) == [0, 1]


def test_the_base_of_the_nose_lies_between_its_tip_and_the_mouth() -> None:
    assert TEMPLATE[2][1] < NOSE_BASE[1] < TEMPLATE[3][1]


def change_cell(root: Path, name: str, cells: dict[str, str]) -> Callable[[list[str]], None]:
    header = line(root / name, 1).split(",")

    def change(lines: list[str]) -> None:
        row = lines[1].split(",")
        for column, value in cells.items():
            row[header.index(column)] = value
        lines[1] = ",".join(row)

    return change


@pytest.mark.parametrize("value", ["", "0"])
def test_a_face_without_a_landmark_is_cut_out_by_its_box(root: Path, value: str) -> None:
    cells = dict.fromkeys(("LEFT_EYE_X", "LEFT_EYE_Y"), value)
    whole = read_benchmark("ijba", root)
    file = root / "IJB-A_11_sets/split1/verify_metadata_1.csv"
    name = str(file.relative_to(root))
    key = whole.images.keys[int(whole.templates.image[0])]
    with damaged(file, change_cell(root, name, cells)):
        cut = read(root, "ijba")
    assert cut.images.keys == whole.images.keys
    place = whole.images.keys.index(key)
    assert not np.array_equal(cut.images.read(place), whole.images.read(place))


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"TEMPLATE_ID": "x"}, "TEMPLATE_ID is 'x', not a whole number"),
        ({"SUBJECT_ID": ""}, "SUBJECT_ID is"),
        ({"SUBJECT_ID": "-4"}, "SUBJECT_ID is negative"),
        ({"FILE": ""}, "FILE is"),
        ({"FILE": "../../x.jpg"}, "FILE leads out"),
        ({"FACE_WIDTH": "0"}, "smaller than a pixel"),
        ({"FACE_X": "1e9"}, "a million pixels"),
        ({"FACE_X": "nan"}, "not a finite number"),
        ({"FACE_X": ""}, "FACE_X is"),
        ({"NOSE_BASE_X": "left"}, "not a number"),
        ({"FACIAL_HAIR": "1,2"}, "26 fields, 25 are expected"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(
    root: Path, cells: dict[str, str], why: str
) -> None:
    for name, benchmark in ((SHEET, "ijba"), (PROBE, "ijba_1n")):
        lines = [line(root / name, 1), line(root / name, 2)]
        change_cell(root, name, cells)(lines)
        assert why in refusal(lambda name=benchmark: read(root, name), root / name, 2, lines[1])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1", "1 fields"),
        ("999999,1", "template 999999 is not in verify_metadata_2.csv"),
        ("a,b", "not a whole number"),
        ("", "empty"),
    ],
)
def test_a_malformed_pair_is_refused_with_file_and_line(root: Path, text: str, why: str) -> None:
    assert why in refusal(lambda: read(root, "ijba"), root / PAIRS, 5, text)


def test_a_pair_of_a_template_with_itself_is_refused(root: Path) -> None:
    first = line(root / PAIRS, 1).split(",")[0]
    message = refusal(lambda: read(root, "ijba"), root / PAIRS, 5, f"{first},{first}")
    assert "with itself" in message


def test_a_template_with_two_subjects_or_a_face_twice_is_refused(root: Path) -> None:
    sheet = root / SHEET
    first = line(sheet, 2).split(",")
    other = ",".join([first[0], "77", *line(sheet, 3).split(",")[2:]])
    assert "another SUBJECT_ID" in refusal(lambda: read(root, "ijba"), sheet, 3, other)
    assert "already" in refusal(lambda: read(root, "ijba"), sheet, 3, ",".join(first))


def test_a_probe_that_is_enrolled_is_refused(root: Path) -> None:
    row = line(root / GALLERY, 2)
    assert "gallery too" in refusal(lambda: read(root, "ijba_1n"), root / PROBE, 2, row)


def test_a_missing_column_or_split_is_refused(root: Path) -> None:
    header = line(root / SHEET, 1).replace("NOSE_BASE_X", "NOSE_X")
    message = refusal(lambda: read(root, "ijba"), root / SHEET, 1, header)
    assert "NOSE_BASE_X 0 times" in message
    with without((root / SHEET).parent), pytest.raises(UserError, match="splits 1 to 10"):
        read(root, "ijba")
    with without(root / PAIRS), pytest.raises(UserError, match="cannot be read"):
        read(root, "ijba")


def test_a_missing_image_is_a_counted_failure(root: Path) -> None:
    with without(root / "images" / "img" / "7.jpg"):
        found = read_benchmark("ijba", root)
        place = [key.partition("@")[0] for key in found.images.keys].index("img/7.jpg")
        with pytest.raises(DecodeError):
            found.images.read(place)
    assert (len(found.images), len(found.templates)) == (80, 800)


@pytest.mark.parametrize("rounds", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)])
def test_mutated_lists_are_read_or_refused(
    tmp_path: Path, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urface.benchmarks.ijba.SPLITS", 2)
    write_miniature("ijba", tmp_path / "a")
    names = (SHEET, PAIRS, GALLERY, PROBE)
    files = [tmp_path / "a" / name for name in names]
    for split in ("1", "2"):
        sheet, pairs, *searches = [tmp_path / "a" / name.replace("2", split) for name in names]
        for file in (sheet, *searches):
            file.write_text("".join(file.read_text().splitlines(keepends=True)[:20]))
        there = subjects(sheet)  # pairs of templates that are still listed
        kept = [row for row in pairs.read_text().splitlines() if set(row.split(",")) <= set(there)]
        pairs.write_text("".join(f"{row}\n" for row in kept))

    def both() -> None:
        read(tmp_path / "a", "ijba").check()
        read(tmp_path / "a", "ijba_1n").check()

    both()
    fuzz(files, both, rounds)
