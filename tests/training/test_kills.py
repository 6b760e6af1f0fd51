"""Whatever kills a run, and whenever, its last finished checkpoint can be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from urface.training import checkpoint

PROGRAM = Path(__file__).with_name("saving.py")


def run(*arguments: object) -> Any:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=280)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_fifty_kills_leave_no_checkpoint_unreadable_or_older_than_the_last_finished(
    tmp_path: Path,
) -> None:
    found = run("kills", tmp_path, 50)
    assert found["careful"] == [0, 0]
    # The control: the same kills do damage what is written in place.
    assert found["naive"][0] >= 1


def check_terms(folder: Path, data: Path, count: int) -> None:
    found = run("terms", folder, count, data)
    assert len(found) == count
    for code, saved, logged in found:
        assert code == 143
        assert saved == logged


def test_three_of_three_runs_save_when_they_are_asked_to_end(
    tmp_path: Path, faces_folder: Path
) -> None:
    check_terms(tmp_path, faces_folder, 3)


@pytest.mark.slow
def test_ten_of_ten_runs_save_when_they_are_asked_to_end(
    tmp_path: Path, faces_folder: Path
) -> None:
    check_terms(tmp_path, faces_folder, 10)


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
