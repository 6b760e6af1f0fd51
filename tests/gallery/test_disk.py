"""A disk that is full, fails or loses what was not synced: typed errors, and a store that reads (G31)."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gallery.made import KEY, Clock, consent, faces_of, new_gallery
from urface.gallery import Gallery


@contextlib.contextmanager
def largest_file(size: int):
    """In the block no file of this process may grow beyond ``size`` bytes: writes then fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def acts(gallery: Gallery) -> list:
    return [
        lambda: gallery.enrol("new", faces_of(50, images=3), consent()),
        lambda: gallery.enrol("person 1", faces_of(1, images=2, seed=5), consent()),
        lambda: gallery.remove("person 2"),
        lambda: gallery.renew(),
        lambda: gallery.export(),
    ]


def refused(act, size: int) -> OSError | None:
    """What ``act`` raises while no file may grow beyond ``size`` bytes."""
    try:
        with largest_file(size):
            act()
    except OSError as error:
        return error
    return None


@pytest.mark.parametrize("act", range(5))
def test_writes_that_fail_anywhere_are_an_oserror_and_leave_what_was(tmp_path, act):
    whole = tmp_path / "whole"
    new_gallery(whole, 5, images=2).close()
    for step in range(40):
        folder = tmp_path / f"g{step}"
        shutil.copytree(whole, folder)
        with Gallery.open(folder, KEY, clock=Clock()) as gallery:
            before = gallery.people()
            error = refused(acts(gallery)[act], 4120 * step + 100)
            if error is None:
                assert step >= 1
                return
            assert error.errno in (errno.EIO, errno.ENOSPC, errno.EFBIG)
            assert str(error.filename).startswith(str(folder))
            assert gallery.people() == before
            assert gallery.template("person 3").faces is not None
            assert gallery.check() == []
            acts(gallery)[0]()  # there is room again
        shutil.rmtree(folder)
    pytest.fail("it never had room enough")


def test_a_rewrite_without_room_says_so_and_leaves_what_was(tmp_path):
    gallery = new_gallery(tmp_path / "g", 5, images=2)
    gallery.compact()
    before = gallery.people()
    for step in range(40):
        with largest_file(4120 * step + 100):
            done = gallery.compact()
        assert gallery.people() == before
        assert gallery.check() == []
        if done:
            assert step > 0
            return
    pytest.fail("it never had room enough")


def test_a_full_disk_is_told_as_one(tmp_path):
    gallery = new_gallery(tmp_path / "g", 3)
    ((pages,),) = gallery._store.database.run("PRAGMA page_count")
    gallery._store.database.run(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(100):
            gallery.enrol(f"more {number}", faces_of(number, images=4), consent())

    with pytest.raises(OSError, match="full") as full:
        fill()
    assert full.value.errno == errno.ENOSPC
    assert gallery.check() == []
    assert gallery.search(faces_of(1))[0][0].person == "person 1"


def test_a_search_that_cannot_be_logged_is_not_answered(tmp_path):
    gallery = new_gallery(tmp_path / "g", 3)
    gallery.search(faces_of(1))
    gallery._store.database.settle()
    with largest_file(10), pytest.raises(OSError):
        gallery.search(faces_of(1))
    assert gallery.search(faces_of(1))[0]


def test_whatever_of_the_unsynced_log_reached_the_disk_no_acknowledged_write_is_lost(tmp_path):
    """A power cut: of what was written since the last sync any part may be there, or rubbish."""
    gallery = new_gallery(tmp_path / "g")
    folder, draw = tmp_path / "g", random.Random(0)
    wal = folder / "gallery.db-wal"
    cuts = 0
    for number in range(10):
        gallery.enrol(f"p{number}", faces_of(number), consent())
        synced = wal.stat().st_size
        gallery.enrol("under way", faces_of(90 + number), consent())
        written = wal.read_bytes()
        gallery.remove("under way") if number % 3 == 2 else None
        for _ in range(4):
            disk = tmp_path / f"cut{cuts}"
            cuts += 1
            shutil.copytree(folder, disk)
            (disk / "gallery.db-shm").unlink(missing_ok=True)
            end = draw.randrange(synced, len(written) + 1) if len(written) > synced else synced
            tail = draw.randbytes(draw.randrange(5000))
            if number % 3 != 2:
                (disk / "gallery.db-wal").write_bytes(written[:end] + tail)
            with Gallery.open(disk, KEY, clock=Clock()) as found:
                names = {one.person for one in found.people()}
                assert {f"p{n}" for n in range(number + 1)} <= names
                assert [p for p in found.check() if "audit" not in p] == []
            shutil.rmtree(disk)
    assert cuts == 40


def test_a_log_that_was_not_synced_would_lose_an_acknowledged_write(tmp_path):
    """The control of the test above: the same cut, in the part that was synced."""
    gallery = new_gallery(tmp_path / "g")
    gallery.enrol("early", faces_of(1), consent())
    before = (tmp_path / "g" / "gallery.db-wal").stat().st_size
    gallery.enrol("late", faces_of(2), consent())
    disk = shutil.copytree(tmp_path / "g", tmp_path / "cut")
    (disk / "gallery.db-shm").unlink()
    with open(disk / "gallery.db-wal", "r+b") as file:
        file.truncate(before)
    with Gallery.open(disk, KEY, clock=Clock()) as found:
        assert [one.person for one in found.people()] == ["early"]


STRACE = shutil.which("strace")


@pytest.mark.skipif(STRACE is None, reason="needs strace")
def test_an_acknowledged_write_was_synced_before(tmp_path):
    new_gallery(tmp_path / "g").close()
    code = f"""
import os, sys
sys.path[:0] = [{str(Path(__file__).parents[1])!r}, {os.fspath(Path(__file__).parents[2] / "src")!r}]
from gallery.made import *
gallery = Gallery.open({str(tmp_path / "g")!r}, KEY, clock=Clock())
for n in range(3):
    gallery.enrol(f"p{{n}}", faces_of(n), consent())
    os.write(1, b"answer-given")
"""
    log = tmp_path / "calls"
    command = [
        str(STRACE),
        "-f",
        "-y",
        "-e",
        "trace=pwrite64,write,fsync,fdatasync",
        "-o",
        str(log),
    ]
    done = subprocess.run([*command, sys.executable, "-c", code], capture_output=True, check=False)
    if done.returncode != 0 and b"ptrace" in done.stderr:
        pytest.skip("tracing is not allowed here")
    lines = [
        line
        for line in log.read_text().splitlines()
        if "gallery.db-wal" in line or "answer-given" in line
    ]
    assert sum("answer-given" in line for line in lines) == 3
    for place, line in enumerate(lines):
        if "answer-given" in line:
            before = [one for one in lines[:place] if "answer-given" not in one]
            assert "sync(" in before[-1]  # the last thing done to the log was to sync it
