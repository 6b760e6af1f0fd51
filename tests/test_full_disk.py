"""A disk that refuses a write costs one line; what was there stays (reliability goal G10)."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from io_faults import every_fault
from small_model import SETTINGS, small_model
from urface.atomic import write_atomic
from urface.config import ObjectiveSettings
from urface.data.meshes import write_meshes
from urface.models.files import add_facts, save_model
from urface.training import checkpoint
from urface.types import FaceEmbedding, UserError

Write = Callable[[Path], object]


def save_step(folder: Path, step: int) -> None:
    filled = torch.full((64, 8), float(step))
    checkpoint.save(folder, step, {"a": filled}, {"own": filled}, {"note": step})


def naive_save(folder: Path, step: int) -> None:
    """Over the old one in place."""
    place = folder / "step_00000001"
    descriptor = os.open(place / "state.safetensors", os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, b"new")
    os.close(descriptor)


def damaged_by_faults(folder: Path, save: Callable[[Path, int], None]) -> tuple[int, list[str]]:
    """Faults in a second save after a whole first one; what was wrong after them."""
    wrong, faults = [], 0

    def again() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        save_step(folder, 1)

    again()

    def work() -> None:
        save(folder, 2)

    for number, (_, error) in enumerate(every_fault(work)):
        faults += 1
        try:
            found = checkpoint.load_latest(folder)
        except UserError:
            found = None
        if found is None or not bool((found.shared["a"] == found.step).all()):
            wrong.append(f"{number}: the old checkpoint is gone")
        if error is None:  # a folder could not be made that was there: no reason to complain
            if found is None or found.step != 2:
                wrong.append(f"{number}: said nothing")
        elif not isinstance(error, OSError) or "\n" in str(error) or error.filename is None:
            wrong.append(f"{number}: said {error!r}")
        if len(list(folder.glob(".*"))) > 1:
            wrong.append(f"{number}: left {list(folder.glob('.*'))}")
        again()
    return faults, wrong


def test_a_fault_at_any_call_of_a_save_keeps_the_old_checkpoint_and_is_one_line(
    tmp_path: Path,
) -> None:
    faults, wrong = damaged_by_faults(tmp_path / "checkpoints", save_step)
    assert faults > 60
    assert wrong == []


def test_the_same_faults_do_damage_what_is_written_in_place(tmp_path: Path) -> None:
    assert damaged_by_faults(tmp_path / "checkpoints", naive_save)[1] != []


def test_a_save_that_does_not_fit_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_step(tmp_path, 1)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2_000_000))
    save_step(tmp_path, 2)
    big = {"a": torch.ones(500_000)}
    with pytest.raises(UserError, match=r"takes 3\.0 MB and 2\.0 MB are free: make room") as caught:
        checkpoint.save(tmp_path, 3, big, {}, {})
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_00000001", "step_00000002"]


def embedding(path: Path) -> None:
    random = np.random.default_rng()
    FaceEmbedding(np.ones((900, 1, 1)), random.random((900, 1)), np.ones((900, 1))).save(path)


def model(path: Path) -> None:
    number = int.from_bytes(os.urandom(4), "little")
    save_model(path, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {"v": number})


def facts(path: Path) -> None:
    add_facts(path, {"more": int.from_bytes(os.urandom(4), "little")})


def table(path: Path) -> None:
    write_meshes(path, pa.table({"x": np.random.default_rng().random(2000)}))


def plain(path: Path) -> None:
    write_atomic(path, os.urandom(9000))


WRITERS: list[tuple[str, Write, Write]] = [
    ("x.bin", plain, plain),
    ("x.safetensors", embedding, embedding),
    ("model.safetensors", model, model),
    ("model.safetensors", model, facts),
    ("meshes.parquet", table, table),
]


@pytest.mark.parametrize(("name", "first", "write"), WRITERS)
def test_a_fault_at_any_call_of_any_writer_keeps_the_old_file(
    tmp_path: Path, name: str, first: Write, write: Write
) -> None:
    path = tmp_path / name
    first(path)
    before = path.read_bytes()
    failed = 0
    for _, error in every_fault(lambda: write(path)):
        if error is None:  # a folder could not be made that was there: no reason to complain
            assert path.read_bytes() != before
            before = path.read_bytes()
            continue
        failed += 1
        assert isinstance(error, OSError)
        assert "\n" not in str(error)
        # Only the sync of the folder fails after the file has its name.
        if path.read_bytes() != before:
            assert error.filename == str(tmp_path)
        before = path.read_bytes()
        assert [left.name for left in tmp_path.iterdir()] == [name]
    assert failed >= 3 * 3


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """The kernel refuses bytes of any file past ``size``, in whatever language it is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def naive(path: Path) -> None:
    path.write_bytes(os.urandom(9000))


def damaged_by_limits(path: Path, write: Write) -> int:
    """How often a file that may only be written in part is no longer what it was."""
    before = path.read_bytes()
    damaged = 0
    size = len(before)
    for limit in sorted({0, 1, 8, 100, *range(0, size - 512, max(1, size // 12)), size - 512}):
        with at_most(limit), pytest.raises(OSError) as caught:
            write(path)
        assert "\n" not in str(caught.value)
        damaged += path.read_bytes() != before
        assert [left.name for left in path.parent.iterdir()] == [path.name]
        path.write_bytes(before)
    return damaged


@pytest.mark.parametrize(("name", "first", "write"), WRITERS)
def test_a_write_that_is_cut_short_anywhere_keeps_the_old_file(
    tmp_path: Path, name: str, first: Write, write: Write
) -> None:
    first(tmp_path / name)
    assert damaged_by_limits(tmp_path / name, write) == 0


def test_a_naive_write_that_is_cut_short_loses_the_old_file(tmp_path: Path) -> None:
    naive(tmp_path / "x")
    assert damaged_by_limits(tmp_path / "x", naive) > 5


FILL = """
import sys, torch
from pathlib import Path
from urface.training import checkpoint
folder = Path(sys.argv[1])
checkpoint.SLACK = -(1 << 40)  # as if the look before had seen room that others then took
for step in range(1, 100):
    state = {"a": torch.full((1_000_000,), float(step))}
    checkpoint.save(folder, step, state, {}, {})
"""


@pytest.mark.slow
def test_a_small_disk_that_gets_full_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=11m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs rights that this process does not have")
    try:
        done = subprocess.run(
            [sys.executable, "-c", FILL, str(small)], capture_output=True, text=True, timeout=120
        )
        assert done.returncode != 0
        assert "No space left on device" in done.stderr.splitlines()[-1]
        found = checkpoint.load_latest(small)
        assert found is not None
        assert found.step == 2  # two of 4 MB are kept, a third has no room
        assert bool((found.shared["a"] == 2).all())
        assert list(small.glob(".*")) == []
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
