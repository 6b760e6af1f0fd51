"""Writes that are whole or absent, under faults and kills, with a naive writer as the control."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from urface.atomic import atomic_folder, atomic_path, write_atomic
from urface.types import UserError


def test_bytes_and_text_arrive_whole_in_folders_that_did_not_exist(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b.bin", b"\0\xff")
    write_atomic(str(tmp_path / "a" / "t.txt"), "ä\n")
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"\0\xff"
    assert (tmp_path / "a" / "t.txt").read_bytes() == "ä\n".encode()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["b.bin", "t.txt"]


def test_temporary_file_is_beside_the_target_and_keeps_its_ending(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x.parquet") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".parquet"
        assert temporary.name.startswith(".")
        temporary.write_bytes(b"1")
        assert not (tmp_path / "x.parquet").exists()
    assert (tmp_path / "x.parquet").read_bytes() == b"1"


@pytest.mark.parametrize("call", ["open", "fsync", "replace", "body"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_fault_at_any_call_keeps_the_old_file_and_leaves_no_other(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.bin"
    write_atomic(path, b"old")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    def write() -> None:
        with monkeypatch.context() as patch, atomic_path(path) as temporary:
            temporary.write_bytes(b"new")
            if call == "body":
                fail()
            patch.setattr(os, call, fail)

    with pytest.raises(OSError) as caught:
        write()
    assert caught.value.errno == code
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_file_is_synced_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        calls.append("folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file")
        fsync(descriptor)

    def spy_replace(source: Path, target: Path) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    write_atomic(tmp_path / "x", b"1")
    assert calls == ["file", "rename", "folder"]


WRITER = """
import sys
from pathlib import Path
from urface.atomic import write_atomic
path, naive = Path(sys.argv[1]), sys.argv[2] == "naive"
print("ready", flush=True)
n = 0
while True:
    n += 1
    data = bytes([n % 251]) * 16_000_000
    path.write_bytes(data) if naive else write_atomic(path, data)
"""


def torn_files(kind: str, kills: int, folder: Path) -> int:
    """How often a writer that was killed at random left a file that is not one whole write."""
    path = folder / "state"
    torn = 0
    rng = random.Random(0)
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), kind], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.06 + rng.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if path.exists():
            data = path.read_bytes()
            torn += len(data) != 16_000_000 or data.count(data[:1]) != len(data)
    return torn


def test_kills_during_a_write_never_leave_a_torn_file_and_do_with_a_naive_writer(
    tmp_path: Path,
) -> None:
    (tmp_path / "atomic").mkdir()
    (tmp_path / "naive").mkdir()
    assert torn_files("atomic", 12, tmp_path / "atomic") == 0
    assert torn_files("naive", 12, tmp_path / "naive") > 0


def test_a_folder_appears_whole_in_the_place_of_nothing_or_of_an_empty_one(tmp_path):
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "deep" / "new", tmp_path / "empty"):
        with atomic_folder(target) as folder:
            (folder / "a").write_text("1")
            assert not (target / "a").exists()
        assert (target / "a").read_text() == "1"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "empty"]


def write_folder(target, fails=False):
    with atomic_folder(target) as folder:
        (folder / "a").write_text("1")
        if fails:
            raise RuntimeError


def test_a_folder_that_fails_leaves_what_was_there(tmp_path):
    with pytest.raises(RuntimeError):
        write_folder(tmp_path / "new", fails=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").write_text("2")
    (tmp_path / "file").write_text("3")
    for place in (tmp_path / "full", tmp_path / "file"):
        with pytest.raises(UserError, match="no empty folder") as caught:
            write_folder(place)
        assert str(caught.value).startswith(f"{place}: ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "full"]
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["kept"]


def test_a_folder_that_was_filled_meanwhile_is_not_written_over(tmp_path):
    def filled_meanwhile():
        with atomic_folder(tmp_path / "a"):
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "theirs").write_text("1")

    with pytest.raises(UserError, match="no empty folder"):
        filled_meanwhile()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["theirs"]
