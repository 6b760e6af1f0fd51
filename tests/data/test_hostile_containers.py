"""200 made shards and RecordIO sets: nothing is written outside, each refusal says the place (G27)."""

from __future__ import annotations

import contextlib
import os
import re
import tarfile
from pathlib import Path

import pytest

from hostile_containers import OUTSIDE, harmless_tars, hostile_records, hostile_tars
from urface.data.convert import convert
from urface.data.open import open_faces
from urface.data.tar_index import index_tar
from urface.types import UserError

TARS = list(hostile_tars())
RECORDS = list(hostile_records())


def everything(root: Path) -> dict[str, int]:
    """All that lies below ``root``, links too, with its size."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            found[path] = os.lstat(path).st_size if name in files else 0
    return found


def read_all(rec: Path) -> None:
    source = open_faces(rec)
    for place in range(len(source)):
        source.read(place)


def test_there_are_200_different_ones() -> None:
    """Some tars are the same in every dialect: counted once."""
    tars = {data for _, data in TARS}
    records = {(rec, idx) for _, rec, idx in RECORDS}
    assert len(records) == len(RECORDS) >= 70
    assert len(tars) + len(records) >= 200


def test_no_hostile_tar_is_read_and_converting_it_writes_nothing(tmp_path: Path) -> None:
    shard = tmp_path / "in" / "shard-000.tar"
    shard.parent.mkdir()
    (tmp_path / "outside").mkdir()
    for name, data in TARS:
        shard.write_bytes(data)
        before = everything(tmp_path)
        with pytest.raises(UserError) as refused:
            index_tar(shard)
        message = str(refused.value)
        assert message.startswith(f"{shard}"), name
        assert "\n" not in message, name
        placed = re.match(r": at byte \d+: ", message.removeprefix(str(shard)))
        assert placed or "compressed by" in message or "two member entries" in message, message
        for way in (str(shard), str(shard).replace("000", "{000..000}")):
            with pytest.raises(UserError):
                convert(open_faces(way), tmp_path / "out", progress=False)
        assert everything(tmp_path) == before, name


def test_odd_but_harmless_names_are_read_and_converted(tmp_path: Path) -> None:
    """The control: the reader does not refuse whatever looks odd."""
    for number, (name, data) in enumerate(harmless_tars()):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(data)
        source = open_faces(path)
        assert len(source.image(0)) == 8, name
        convert(source, tmp_path / f"out{number}", progress=False)
        assert open_faces(tmp_path / f"out{number}").keys == source.keys


def test_a_careless_unpacking_writes_outside(tmp_path: Path) -> None:
    """The control: what the members ask for is done where nobody looks at their names."""
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    wrote = 0
    for name, data in TARS:
        asked = name.partition(": ")[2]
        if asked not in OUTSIDE or asked.startswith("/"):
            continue
        (tmp_path / "x.tar").write_bytes(data)
        before = everything(tmp_path).keys()
        with tarfile.open(tmp_path / "x.tar") as tar, contextlib.suppress(OSError):
            if hasattr(
                tarfile, "fully_trusted_filter"
            ):  # not in Python 3.11.2, which has no other way
                tar.extractall(inside, filter="fully_trusted")
            else:
                tar.extractall(inside)
        new = set(everything(tmp_path)) - set(before)
        wrote += any(not path.startswith(f"{inside}{os.sep}") for path in new)
        for path in sorted(new, reverse=True):
            os.rmdir(path) if os.path.isdir(path) else os.remove(path)
    assert wrote >= 9


def test_each_hostile_record_set_is_refused_with_its_place(tmp_path: Path) -> None:
    rec, idx = tmp_path / "in" / "train.rec", tmp_path / "in" / "train.idx"
    rec.parent.mkdir()
    for name, data, lines in RECORDS:
        rec.write_bytes(data)
        idx.write_text(lines)
        before = everything(tmp_path)
        with pytest.raises(UserError) as refused:
            read_all(rec)
        message = str(refused.value)
        assert "\n" not in message, name
        in_record = re.match(rf"{rec}: record \d+ at byte \d+: ", message)
        in_index = message.startswith((f"{idx}:", f"{rec}: "))
        assert in_record or in_index, (name, message)
        assert everything(tmp_path) == before, name
