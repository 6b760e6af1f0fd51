"""Claims about IJB-S and its five searches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.benchmarks.benchmark import SearchTask
from urface.benchmarks.ijbs import EXPERIMENTS, read
from urface.benchmarks.registry import BENCHMARKS, read_benchmark, write_miniature
from urface.data.decode import DecodeError
from urface.types import UserError

from .damage import damaged, line, refusal, without
from .fuzz import LONG, QUICK, fuzz

PROBE = "cs6_surveillance_to_single-booking_probe.csv"
LISTS = (
    "cs6_metadata.csv",
    PROBE,
    "cs6_surveillance_to_surveillance_probe.csv",
    "cs6_uav_to_single-booking_probe.csv",
    *(
        f"galleries/cs6_surveillance_to_{kind}_g{part}.csv"
        for kind in ("single", "booking", "surveillance")
        for part in (1, 2)
    ),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "ijbs"
    write_miniature("ijbs", folder)
    return folder


def people_of(root: Path) -> dict[str, set[int]]:
    """Who is in which medium, by a loop over the metadata."""
    found: dict[str, set[int]] = {}
    for row in (root / "cs6_metadata.csv").read_text().splitlines()[1:]:
        subject, medium = row.split(",")
        found.setdefault(medium.rsplit(".", 1)[0].replace("/", "_"), set()).add(int(subject))
    return found


def videos(root: Path, name: str) -> list[str]:
    rows = (root / name).read_text().splitlines()[1:]
    return [row.rsplit(".", 1)[0].replace("/", "_") for row in rows]


def test_all_five_searches_are_there_each_with_a_closed_set_and_two_galleries(root: Path) -> None:
    found = read_benchmark("ijbs", root)
    assert len(found.searches) == 15
    for experiment, start in zip(EXPERIMENTS.values(), range(0, 15, 3), strict=True):
        closed, first, second = found.searches[start : start + 3]
        assert closed.name == f"{experiment.title}, closed set"
        assert closed.measures == ("rank1", "rank5", "rank10")
        np.testing.assert_array_equal(
            closed.gallery, np.concatenate([first.gallery, second.gallery])
        )
        assert first.measures == second.measures == ("tpir@0.01", "tpir@0.1")
        assert first.group == second.group == f"{experiment.title}, open set"
        for task in (first, second):
            np.testing.assert_array_equal(task.probes, closed.probes)


def test_one_search_by_itself_is_the_same_as_among_all(root: Path) -> None:
    whole = read_benchmark("ijbs", root)
    by_name = {task.name: task for task in whole.searches}
    for name in EXPERIMENTS:
        assert name in BENCHMARKS
        alone = read_benchmark(name, root)
        assert len(alone.images) <= len(whole.images)
        for task in alone.searches:
            same = by_name[task.name]

            def names(task: SearchTask, templates: list[str]) -> list[list[str]]:
                return [[templates[p] for p in ps] for ps in (task.gallery, task.probes)]

            assert names(task, alone.templates.names) == names(same, whole.templates.names)


def test_a_probe_template_is_one_person_in_one_video(root: Path) -> None:
    found = read_benchmark("ijbs_booking", root)
    seen = people_of(root)
    expected = {(person, video) for video in videos(root, PROBE) for person in seen[video]}
    probes = [found.templates.names[place].split("/")[1:] for place in found.searches[0].probes]
    assert {(int(person), video) for person, video in probes} == expected
    assert len(probes) == len(expected) == 72


def test_in_the_multi_view_search_a_probe_template_is_one_person_in_all_videos(root: Path) -> None:
    found = read_benchmark("ijbs_multiview_booking", root)
    probes = found.searches[0].probes
    subjects = found.templates.subjects[probes]
    assert len(set(subjects.tolist())) == len(subjects) == 16
    single = read_benchmark("ijbs_booking", root)
    for place, subject in zip(probes, subjects, strict=True):
        joined = found.templates.image[found.templates.template == place]
        of_person = single.searches[0].probes
        of_person = of_person[single.templates.subjects[of_person] == subject]
        apart = single.templates.image[np.isin(single.templates.template, of_person)]
        keys = {single.images.keys[image] for image in apart if image >= 0}
        assert {found.images.keys[image] for image in joined if image >= 0} == keys


def test_entries_are_the_frames_on_disk_and_a_video_is_one_medium(root: Path) -> None:
    found = read_benchmark("ijbs", root)
    templates = found.templates
    medium_of: dict[int, set[str]] = {}
    for image, template, medium in zip(
        templates.image, templates.template, templates.media, strict=True
    ):
        if image >= 0:
            key = found.images.keys[image]
            assert (root / key).is_file()
            assert int(key.partition("/")[0]) == templates.subjects[template]
            stem = key.partition("/")[2].rpartition(".")[0]
            name = stem.rpartition("_")[0] if stem.startswith("videos_") else stem
            medium_of.setdefault(int(medium), set()).add(name)
    assert all(len(names) == 1 for names in medium_of.values())
    for place in range(0, len(found.images), 40):
        assert found.images.read(place).shape == (112, 112, 3)


def test_a_template_without_an_image_is_counted_and_stays(root: Path) -> None:
    found = read_benchmark("ijbs_single", root)
    empty = np.setdiff1d(
        np.arange(len(found.templates)), found.templates.template[found.templates.image >= 0]
    )
    assert [found.templates.names[place].split("/", 1)[1] for place in empty] == ["1/videos_101"]
    assert empty[0] in found.searches[0].probes
    assert "1 of 88 templates have no image" in " ".join(found.notes)
    with without(root / "5"):  # a person all of whose images are missing
        fewer = read_benchmark("ijbs_single", root)
    assert fewer.templates.names == found.templates.names
    for one, other in zip(fewer.searches, found.searches, strict=True):
        np.testing.assert_array_equal(one.probes, other.probes)
        np.testing.assert_array_equal(one.gallery, other.gallery)


def test_an_unreadable_frame_is_a_decode_error(root: Path) -> None:
    found = read_benchmark("ijbs_single", root)
    with without(root / found.images.keys[3]), pytest.raises(DecodeError):
        found.images.read(3)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("cs6_metadata.csv", "x,videos/1.mp4", "not a whole number"),
        ("cs6_metadata.csv", "1", "1 fields"),
        ("cs6_metadata.csv", "-1,videos/1.mp4", "negative"),
        ("cs6_metadata.csv", "1,video/1.mp4", "videos/NAME or img/NAME"),
        ("cs6_metadata.csv", "1,img/../1.jpg", "videos/NAME or img/NAME"),
        (PROBE, "videos/9999.mp4", "knows no person"),
        (PROBE, "videos/101.mp4", "there already"),
        (PROBE, "", "empty"),
        (PROBE, "nonsense", "videos/NAME or img/NAME"),
        (LISTS[4], "1", "1 fields"),
        (LISTS[4], "-3,img/1.jpg", "negative"),
        (LISTS[5], "1,img/1.jpg", "enrolled in gallery 1 too"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(
    root: Path, name: str, text: str, why: str
) -> None:
    assert why in refusal(lambda: read(root, "ijbs"), root / name, 3, text)


def test_a_list_without_its_header_is_refused_and_not_read_a_row_short(root: Path) -> None:
    for name in LISTS:
        first = line(root / name, 2)
        with damaged(root / name, lambda lines: lines.pop(0)), pytest.raises(UserError) as error:
            read(root, "ijbs")
        assert str(error.value).startswith(f"{root / name}:1: "), first


@pytest.mark.parametrize("name", LISTS)
def test_a_missing_list_is_refused(root: Path, name: str) -> None:
    with without(root / name), pytest.raises(UserError, match="cannot be read"):
        read(root, "ijbs")


@pytest.mark.parametrize("rounds", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)])
def test_mutated_lists_are_read_or_refused(tmp_path: Path, rounds: int) -> None:
    write_miniature("ijbs", tmp_path / "a")
    files = [tmp_path / "a" / name for name in LISTS]
    fuzz(files, lambda: read(tmp_path / "a", "ijbs").check(), rounds)
