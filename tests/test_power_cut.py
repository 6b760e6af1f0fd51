"""What was said to be written is there after a power cut, whenever it comes (reliability goal G2)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from power_cut import PowerCut
from small_model import SETTINGS, small_model
from urface.atomic import atomic_folder, write_atomic
from urface.config import ObjectiveSettings
from urface.data.meshes import write_meshes
from urface.models.files import save_model
from urface.training import checkpoint
from urface.types import FaceEmbedding, UserError


def save_step(folder: Path, step: int) -> None:
    filled = torch.full((40, 3), float(step))
    checkpoint.save(folder, step, {"a": filled}, {"own": filled}, {"note": step})


def step_on(folder: Path) -> int:
    """The step of the newest whole checkpoint, -1 where there is none; a damaged one is an error."""
    found = checkpoint.load_latest(folder)
    if found is None:
        return -1
    assert bool((found.shared["a"] == found.step).all())
    assert bool((found.parts[0]["own"] == found.step).all())
    return found.step


def cuts_during_saves(root: Path, saves: int, deaf_to: tuple[str, ...] = ()) -> tuple[int, int]:
    """Disks looked at, and those on which a finished save is lost or nothing can be read."""
    root.mkdir()
    finished, lost = -1, 0

    def check(disk: Path, when: str) -> None:
        nonlocal lost
        try:
            lost += step_on(disk / "deep" / "checkpoints") < finished
        except UserError:
            lost += 1

    with PowerCut(root, check, deaf_to) as cut:
        for step in range(saves):
            save_step(root / "deep" / "checkpoints", step)
            finished = step
            cut.cut("the save")
    return cut.points, lost


def test_no_finished_checkpoint_is_lost_wherever_the_power_is_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, lost = cuts_during_saves(tmp_path / "disk", 5)
    assert points > 200
    assert lost == 0
    # On no disk was it even needed to fall back: a name is there only when all of it is.
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("deaf", ["file", "folder"])
def test_the_same_saves_without_one_kind_of_sync_do_lose(tmp_path: Path, deaf: str) -> None:
    assert cuts_during_saves(tmp_path / "disk", 3, (deaf,))[1] > 0


def naive(path: Path, version: int) -> None:
    path.write_bytes(bytes([version]) * 100)


def naive_rename(path: Path, version: int) -> None:
    temporary = path.with_name("x.tmp")
    temporary.write_bytes(bytes([version]) * 100)
    os.replace(temporary, path)


def embedding(path: Path, version: int) -> None:
    FaceEmbedding(np.ones((2, 1, 1)), np.ones((2, 1)) * version, np.ones((2, 1))).save(path)


def model(path: Path, version: int) -> None:
    save_model(path, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {"v": version})


def table(path: Path, version: int) -> None:
    write_meshes(path, pa.table({"x": [version]}))


def lost_files(root: Path, write: Callable[[Path, int], None], name: str) -> int:
    """Disks on which a file is neither its old version whole nor its new one, or the old too late."""
    root.mkdir()
    for version in (1, 2):  # what each version is, without a cut
        write(root / name, version)
        (root / f"{version}.known").write_bytes((root / name).read_bytes())
    old, new = ((root / f"{version}.known").read_bytes() for version in (1, 2))
    write(root / name, 1)
    allowed, lost = [old, new], 0

    def check(disk: Path, when: str) -> None:
        nonlocal lost
        path = disk / name
        lost += not path.is_file() or path.read_bytes() not in allowed

    with PowerCut(root, check) as cut:
        write(root / name, 2)
        allowed = [new]
        cut.cut("the write")
    return lost


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda path, version: write_atomic(path, bytes([version]) * 100), "x.bin"),
        (embedding, "x.safetensors"),
        (model, "model.safetensors"),
        (table, "meshes.parquet"),
    ],
)
def test_files_of_each_kind_of_writer_are_old_or_new_and_new_once_written(
    tmp_path: Path, write: Callable[[Path, int], None], name: str
) -> None:
    assert lost_files(tmp_path / "disk", write, name) == 0


@pytest.mark.parametrize("write", [naive, naive_rename])
def test_naive_writers_lose_files(tmp_path: Path, write: Callable[[Path, int], None]) -> None:
    assert lost_files(tmp_path / "disk", write, "x.bin") > 0


def test_a_folder_is_there_with_all_of_its_files_or_not_at_all(tmp_path: Path) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    seen: list[list[bytes]] = []

    def check(disk: Path, when: str) -> None:
        seen.append([path.read_bytes() for path in sorted((disk / "new").glob("*"))])

    with PowerCut(root, check) as cut:
        with atomic_folder(root / "new") as folder:
            for number in range(3):
                (folder / f"{number}").write_bytes(bytes([number]))
        before = len(seen)
        cut.cut("the folder")
    whole = [b"\0", b"\1", b"\2"]
    assert all(found in ([], whole) for found in seen)
    assert seen[before:] == [whole, whole]
