"""Claims about checking and mending RecordIO sets."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from urface.data.decode import encode_png
from urface.data.open import open_faces
from urface.data.record_check import check_records
from urface.data.record_frames import MAGIC_BYTES, write_frames
from urface.data.record_repair import repair_records
from urface.data.record_write import write_records
from urface.data.records import HEADER, open_records
from urface.types import UserError

IMAGES = [
    (label, encode_png(np.full((8, 8, 3), 10 * label + shot, np.uint8)))
    for label in range(4)
    for shot in range(5)
]
LAYOUTS = ("classic", "header-less")


@pytest.fixture(params=LAYOUTS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_records(tmp_path / "train.rec", IMAGES, request.param)
    return tmp_path / "train.rec"


def problems(path: Path) -> list[str]:
    return check_records(path, progress=False).problems


def put(path: Path, offset: int, new: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[offset : offset + len(new)] = new
    path.write_bytes(data)


def test_a_sound_set_has_no_problem(written: Path) -> None:
    found = check_records(written, progress=False)
    assert (found.images, found.identities, found.count, found.problems) == (20, 4, 0, [])
    assert found.records == (25 if found.classic else 20)


def test_the_walk_goes_on_after_damage_and_names_its_bytes(written: Path) -> None:
    offsets = open_records(written).offsets
    for place in (4, 9):
        put(written, int(offsets[place]), b"\0\0\0\0")
    found = problems(written)
    assert [f"at byte {offsets[place]}: no record begins here" in line for place, line in
            zip((4, 9), found, strict=True)] == [True, True]  # fmt: skip


def test_an_index_that_is_not_the_files_is_noticed(written: Path) -> None:
    index = written.with_suffix(".idx")
    lines = index.read_text().splitlines()
    index.write_text("\n".join(lines[:7] + lines[8:]))
    offset = lines[7].split("\t")[1]
    assert any(
        f"the record at byte {offset} is not in the index" in line for line in problems(written)
    )
    key = lines[7].split("\t")[0]
    index.write_text("\n".join([*lines[:7], f"{key}\t{int(offset) + 4}", *lines[8:]]))
    assert any(
        f"the index names byte {int(offset) + 4}, within" in line for line in problems(written)
    )


def test_identity_records_are_held_to_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "train.rec"
    write_records(path, IMAGES, "classic")
    file = open_records(path)
    good = path.read_bytes()
    second = int(file.offsets[22]) + 8 + 24
    for new, reason in (
        (struct.pack("<2f", 6, 12), "whose labels differ: 1 and 2"),
        (struct.pack("<2f", 6, 40), "not keys of images"),
        (struct.pack("<2f", float("nan"), 11), "not keys of images"),
        (struct.pack("<2f", 11, 6), "not keys of images"),
    ):
        put(path, second, new)
        assert [reason in line for line in problems(path)] == [True]
        path.write_bytes(good)
    put(path, int(file.offsets[3]) + 8 + 4, struct.pack("<f", 9.0))  # the label of image 3
    assert len(problems(path)) == 3  # its identity, the number of identities, and property
    path.write_bytes(good)
    (tmp_path / "property").write_text("5,8,8\n21\n")
    assert [line.split(": ")[1] for line in problems(path)] == [
        "5 identities, but the images have 4",
        "21 images, but there are 20",
    ]


def test_the_index_is_built_anew_from_the_records(written: Path) -> None:
    index = written.with_suffix(".idx")
    before = index.read_text()
    with pytest.raises(UserError, match="exists already"):
        repair_records(written, progress=False)
    index.unlink()
    assert repair_records(written, progress=False).dropped == 0
    assert index.read_text() == before


def test_an_index_is_built_where_the_packer_numbered_no_record(tmp_path: Path) -> None:
    """Ids all 0, and the counts between images and identities: keys by order, as the layout has them."""
    with open(tmp_path / "train.rec", "wb") as rec:
        for label, data in IMAGES:
            write_frames(rec, HEADER.pack(0, label, 0, 0) + data)
        write_frames(rec, HEADER.pack(2, 0, 0, 0) + struct.pack("<2f", 21, 25))
        for label in range(4):
            ends = struct.pack("<2f", 1 + 5 * label, 6 + 5 * label)
            write_frames(rec, HEADER.pack(2, 0, 0, 0) + ends)
    repair_records(tmp_path / "train.rec", progress=False)
    assert problems(tmp_path / "train.rec") == []
    assert open_faces(tmp_path / "train.rec").read(19) == IMAGES[19][1]


@pytest.mark.parametrize("left", [7, 11, 20])
def test_a_cut_tail_is_left_off_in_a_new_set_and_the_old_one_stays(
    written: Path, left: int
) -> None:
    file = open_records(written)
    classic = len(file) == 25
    first = 1 if classic else 0
    end = int(np.sort(file.offsets)[left]) if left < 20 or classic else file.size
    whole = written.read_bytes()
    written.write_bytes(whole[: end + (5 if left < 20 or classic else 0)])
    cut = written.read_bytes()
    dropped = len(cut) - end
    if dropped:
        with pytest.raises(UserError, match=f"its last {dropped} bytes"):
            repair_records(written, progress=False)
    new = written.parent / "mended" / "train.rec"
    result = repair_records(written, new, progress=False)
    assert result.dropped == dropped
    assert written.read_bytes() == cut
    assert problems(new) == []
    source = open_faces(new)
    assert [source.read(i) for i in range(len(source))] == [data for _, data in IMAGES[:left]]
    assert source.labels.tolist() == [label for label, _ in IMAGES[:left]]
    assert check_records(new, progress=False).classic == bool(first)


def test_damage_in_the_middle_is_not_guessed_at(written: Path) -> None:
    offset = int(open_records(written).offsets[3])
    put(written, offset, b"\0\0\0\0")
    with pytest.raises(UserError, match=rf"at byte {offset}: .* damaged, not only cut"):
        repair_records(written, written.parent / "new" / "train.rec", progress=False)
    assert not (written.parent / "new").exists()


def test_further_labels_survive_the_mending_of_a_classic_set(tmp_path: Path) -> None:
    with open(tmp_path / "train.rec", "wb") as rec:
        for key, (label, data) in enumerate(IMAGES, start=1):
            labels = struct.pack("<2f", label, 0.5)
            write_frames(rec, HEADER.pack(2, 0, key, 0) + labels + data)
        write_frames(rec, HEADER.pack(2, 0, 0, 0) + struct.pack("<2f", 21, 25))
        rec.write(MAGIC_BYTES)
    new = tmp_path / "new" / "train.rec"
    repair_records(tmp_path / "train.rec", new, progress=False)
    assert problems(new) == []
    assert open_records(new).read(6).labels.tolist() == [1.0, 0.5]


def test_what_is_no_recordio_at_all_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"hello, world", MAGIC_BYTES):
        (tmp_path / "x.rec").write_bytes(data)
        with pytest.raises(UserError, match=r"x\.rec"):
            repair_records(tmp_path / "x.rec", progress=False)
