"""No file makes the decoder crash, hang or take a gigabyte: in a process with limits (G20, G21, G23)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from handmade_images import bad_images, bombs, good_images, png
from other_formats import other_formats
from urface.data.decode import DecodeError, decode_image

TESTS = Path(__file__).resolve().parents[1]
SECONDS, KILOBYTES = 2.0, 512 * 1024
GOOD, BAD = good_images(), bad_images()
Told = list[dict[str, object]]


def decoded(decoder: str, *arguments: object) -> Told:
    """What became of each file; a process that died of one fails."""
    done = subprocess.run(
        [
            sys.executable,
            str(TESTS / "data" / "decoding_process.py"),
            decoder,
            *map(str, arguments),
        ],
        env=os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-300:], done.stderr[-1000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """The files, named by their places."""
    folder.mkdir()
    for number, data in enumerate(files.values()):
        (folder / f"{number:03d}").write_bytes(data)
    return folder


def check_limits(told: Told) -> None:
    assert max(row["seconds"] for row in told) < SECONDS  # type: ignore[type-var]
    assert max(row["kilobytes"] for row in told) < KILOBYTES  # type: ignore[type-var]


def test_each_hand_made_file_is_an_image_or_a_typed_error(tmp_path: Path) -> None:
    assert len(GOOD) >= 60
    assert len(BAD) >= 40
    told = decoded("ours", written(tmp_path / "files", GOOD | BAD))
    outcomes = dict(zip([*GOOD, *BAD], [row["outcome"] for row in told], strict=True))
    assert {name for name, found in outcomes.items() if found != "image"} == BAD.keys()
    assert {outcomes[name] for name in BAD} == {"refused"}
    check_limits(told)


@pytest.mark.parametrize("rounds", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_files_give_an_image_or_a_typed_error(rounds: int) -> None:
    told = decoded("ours", rounds, 20)
    outcomes = Counter(row["outcome"] for row in told)
    assert outcomes.keys() == {"image", "refused"}, outcomes
    assert min(outcomes.values()) > rounds // 10
    assert outcomes.total() == rounds
    check_limits(told)


def test_a_careless_decoder_fails_on_the_same_files(tmp_path: Path) -> None:
    """The control: the harness sees untyped errors, bombs that are decoded and formats that are let in."""
    told = decoded("cv2", written(tmp_path / "bad", BAD))
    outcomes = Counter(str(row["outcome"]).partition(":")[0] for row in told)
    assert outcomes["untyped"] + outcomes["not an image"] >= 40, outcomes
    told = decoded("cv2", written(tmp_path / "bombs", bombs()))
    assert max(row["kilobytes"] for row in told) > KILOBYTES // 2 or any(  # type: ignore[operator]
        "memory" in str(row["outcome"]).lower() for row in told
    )
    others = decoded("cv2", written(tmp_path / "others", other_formats()))
    assert sum(row["outcome"] == "image" for row in others) >= 5


def test_bombs_are_refused_at_once_and_without_memory(tmp_path: Path) -> None:
    """50 ms and 20 MB each, the file itself included."""
    told = decoded("ours", written(tmp_path / "bombs", bombs()))
    assert len(told) >= 14
    assert len(bombs()["PNG of 20,000 x 20,000"]) < 100_000
    for name, row in zip(bombs(), told, strict=True):
        assert row["outcome"] == "refused", name
        assert row["seconds"] < 0.05, name  # type: ignore[operator]
        assert row["kilobytes"] < 20_000, name  # type: ignore[operator]


def test_the_largest_images_that_are_let_in_stay_within_the_limits(tmp_path: Path) -> None:
    files = {
        "alpha": png(8_000, 5_000, 8, 6, bytes(32_001 * 5_000), level=1),
        "16 bits, alpha": png(5_000, 4_000, 16, 6, bytes(40_001 * 4_000), level=1),
    }
    told = decoded("ours", written(tmp_path / "files", files))
    assert [row["outcome"] for row in told] == ["image"] * len(files), told
    check_limits(told)


OTHERS = other_formats()


def test_more_than_forty_other_formats_are_known_here() -> None:
    assert len(OTHERS) >= 40


@pytest.mark.parametrize("name", OTHERS)
def test_other_formats_are_refused_by_their_first_bytes(name: str) -> None:
    with pytest.raises(DecodeError, match=r"^a/b\.jpg: not a JPEG, PNG or WebP file"):
        decode_image(OTHERS[name], name="a/b.jpg")
