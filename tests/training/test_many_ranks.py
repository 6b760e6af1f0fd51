"""Runs that change their number of ranks, fail on one of them, or lose one (goals G5, G6, G8, G10)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from urface.data.open import open_faces

PROGRAM = Path(__file__).with_name("forked.py")


def run(*arguments: object) -> Any:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=280)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_run_on_1_2_4_2_and_1_ranks_sees_the_images_and_losses_of_one(
    tmp_path: Path, faces_folder: Path
) -> None:
    found = run("worlds", tmp_path, faces_folder)
    one, many = found["one"], found["many"]
    assert many["ids"] == one["ids"]
    assert len(one["losses"]) == len(many["losses"]) == 18
    for first in (0, 4, 8, 12, 16):
        assert many["losses"][first] == pytest.approx(one["losses"][first], rel=1e-6)
    assert many["losses"] == pytest.approx(one["losses"], rel=1e-5)


def test_a_fault_on_one_rank_stops_both_with_its_name_and_keeps_the_checkpoint(
    tmp_path: Path, faces_folder: Path
) -> None:
    found = run("faults", tmp_path, faces_folder)
    keys = open_faces(str(faces_folder)).keys
    culprit = keys[found[1]["culprit"]]
    for rank in found:
        kind, text, seconds = rank["image"]
        assert kind == "TrainingStopped"
        assert text.startswith("step 3 of embedding, rank 1: ")
        assert f"first at {culprit};" in text
        assert seconds < 60
        kind, text, seconds = rank["loss"]
        assert kind == "TrainingStopped"
        assert text.startswith("step 3 of embedding, rank ")
        assert seconds < 60
        assert rank["kept"] == 5
        assert rank["left"] == 0
    assert found[0]["disk"][:2] == [
        "UserError",
        f"rank 1 failed: {tmp_path}/disk/checkpoints/.step_00000010.tmp/"
        "rank_00001.safetensors: No space left on device",
    ]
    assert found[1]["disk"][0] == "OSError"


def check_kills(folder: Path, data: Path, count: int) -> None:
    found = run("kills", folder, data, count)
    assert found["kills"] == count
    assert found["differing"] == []
    assert found["most_lost"] <= 5 + 1  # a save interval, and the step that was killed


def test_two_kills_of_a_rank_leave_the_run_as_if_undisturbed(
    tmp_path: Path, faces_folder: Path
) -> None:
    check_kills(tmp_path, faces_folder, 2)


@pytest.mark.slow
def test_fifty_kills_of_a_rank_leave_the_run_as_if_undisturbed(
    tmp_path: Path, faces_folder: Path
) -> None:
    check_kills(tmp_path, faces_folder, 50)
