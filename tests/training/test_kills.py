"""Whatever kills a run, and whenever, its last finished checkpoint can be read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from apart import apart
from training.saving import many_kills, soaks, terms, twice
from urface.training import checkpoint


def check_kills(folder: Path, count: int, megabytes: int) -> None:
    found = apart(many_kills, folder, count, megabytes, seconds=3500)
    assert found["careful"] == [0, 0]
    # The control: the same kills do damage what is written in place.
    assert found["naive"][0] >= count // 50


def test_fifty_kills_leave_no_checkpoint_unreadable_or_older_than_the_last_finished(
    tmp_path: Path,
) -> None:
    check_kills(tmp_path, 50, 2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_kills_while_sixteen_megabytes_are_saved(tmp_path: Path) -> None:
    check_kills(tmp_path, 1000, 16)


def check_stops(what: Callable[..., Any], folder: Path, data: Path, count: int) -> None:
    found = apart(what, folder, count, str(data), seconds=3500)
    assert len(found) == count
    for code, saved, logged, seconds in found:
        assert code == 143
        assert saved == logged
        assert seconds < 30


def test_ten_of_ten_runs_save_when_they_are_asked_to_end(
    tmp_path: Path, faces_folder: Path
) -> None:
    check_stops(terms, tmp_path, faces_folder, 10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_of_a_hundred_runs_save_when_they_are_asked_to_end(
    tmp_path: Path, faces_folder: Path
) -> None:
    check_stops(terms, tmp_path, faces_folder, 100)


def test_a_second_signal_does_not_cut_the_checkpoint_short(
    tmp_path: Path, faces_folder: Path
) -> None:
    check_stops(twice, tmp_path, faces_folder, 4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_second_signals_cut_no_checkpoint_short(tmp_path: Path, faces_folder: Path) -> None:
    check_stops(twice, tmp_path, faces_folder, 50)


IMPATIENT = """
import os, signal, time
from urface.training import signals
signals.SAME = 0.1
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
with signals.catch_termination(60):
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)  # torchrun's, beside the terminal's
    time.sleep(0.2)
    print("goes on", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
"""


def test_a_second_ctrl_c_interrupts() -> None:
    command = [sys.executable, "-c", IMPATIENT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.stdout == "goes on\n"
    assert "KeyboardInterrupt" in done.stderr


HANGS = """
import os, signal, time
from urface.training.signals import catch_termination
with catch_termination(0.3):
    os.kill(os.getpid(), signal.SIGTERM)
    print("asked", flush=True)
    time.sleep(60)  # as a rank that waits for another
"""


def test_a_process_that_hangs_ends_in_time_after_a_signal() -> None:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=50)
    assert done.stdout == "asked\n"
    assert done.returncode == 143
    assert "not stopped 0.3 s after the signal" in done.stderr
    assert time.monotonic() - started < 30


def test_memory_files_and_threads_stay_as_they_are_and_a_leak_shows(
    tmp_path: Path, faces_folder: Path
) -> None:
    sound, leaking = apart(soaks, tmp_path, 150, str(faces_folder))
    assert sound["files"] == sound["threads"] == 0
    assert sound["megabytes"] < 1.5
    assert leaking["megabytes"] > 3


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_steps_grow_by_less_than_a_megabyte(
    tmp_path: Path, faces_folder: Path
) -> None:
    sound, leaking = apart(soaks, tmp_path, 10_000, str(faces_folder), seconds=3500)
    assert sound["files"] == sound["threads"] == 0
    assert sound["megabytes"] < 1
    assert leaking["megabytes"] > 100


def test_everything_is_on_the_disk_before_the_checkpoint_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    plain_sync, plain_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        calls.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        plain_sync(descriptor)

    def rename(old: Path, new: Path) -> None:
        calls.append(("rename", str(new)))
        written.extend(sorted(path.name for path in Path(old).iterdir()))
        plain_rename(old, new)

    written: list[str] = []
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    folder = tmp_path.resolve()
    checkpoint.save(folder, 3, {"a": torch.ones(5)}, {"b": torch.ones(5)}, {})
    place = next(number for number, (what, _) in enumerate(calls) if what == "rename")
    temporary, final = folder / ".step_00000003.tmp", folder / "step_00000003"
    assert calls[place] == ("rename", str(final))
    synced = [path for _, path in calls[:place]]
    assert set(synced) == {str(temporary / name) for name in written} | {str(temporary)}
    assert len(written) == 4
    assert synced[-1] == str(temporary)  # the names in it, after the last of them was made
    assert calls[place + 1 :] == [("sync", str(folder))]
