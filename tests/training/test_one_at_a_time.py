"""Two trainings never run in one folder, and a killed one does not stand in the way of the next."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from training.conftest import Settings
from urface.training.one_at_a_time import one_at_a_time
from urface.training.train import MODEL, train
from urface.types import UserError

HOLD = """
import sys, time
from pathlib import Path
from urface.training.one_at_a_time import one_at_a_time
with one_at_a_time(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_training_is_refused_at_once_and_leaves_all_as_it_was(
    tmp_path: Path, settings: Settings
) -> None:
    plan = settings(tmp_path / "run", epochs=1)
    with one_at_a_time(tmp_path / "run"):
        with pytest.raises(UserError, match=r"run: another training is running in it: wait"):
            train(plan, progress=False)
        assert not any((tmp_path / "run").iterdir())
    assert train(plan, progress=False) == tmp_path / "run" / MODEL


def test_a_killed_training_lets_go_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another training"), one_at_a_time(folder):
            pass
        child.kill()
    with one_at_a_time(folder):
        pass


def test_a_file_system_without_locks_is_trained_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", none)
    with one_at_a_time(tmp_path):
        pass
