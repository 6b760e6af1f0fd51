"""SIGKILL of a worker, of the driver and of a single process: no row is lost, none is there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from small_model import SETTINGS, small_model
from urface.config import ObjectiveSettings
from urface.models.files import save_model

from .scenario import faces, listed, rows_of

PROGRAM = Path(__file__).with_name("driver.py")
COUNT = 21
KEYS = [f"{number:04d}.jpg" for number in range(COUNT)]
KILLED = -9
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray (requirements/dev.txt)")
# Ray's start takes seconds on idle cores and minutes on loaded ones.
patient = pytest.mark.timeout(900)


@pytest.fixture
def run(tmp_path):
    """Runs driver.py with the given words on the same model and faces; its exit code."""
    model, folder = tmp_path / "model.safetensors", faces(tmp_path / "faces", COUNT, (10,))
    save_model(model, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {})
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "disabled",  # else Ray leaves a token in the user's folder
        "RAY_prestart_worker_first_driver": "0",  # processes that nothing here would use
        "RAY_ADDRESS": "",
    }

    def run(writer: str, engine: str, out: str, *kills: str) -> int:
        command = [PROGRAM, writer, engine, model, folder, tmp_path / out, *kills]
        done = subprocess.run(
            [sys.executable, *map(str, command)], env=environment, capture_output=True, timeout=280
        )
        assert done.returncode in (0, KILLED), done.stderr.decode()[-3000:]
        for kill in kills:
            assert (tmp_path / f"killed_at_{kill.partition(':')[2]}").exists()
        return done.returncode

    return run


def appended(folder: Path) -> list[str]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


def test_a_killed_process_goes_on_and_ends_as_if_undisturbed(run, tmp_path):
    assert run("ours", "local", "killed", "driver:0007.jpg") == KILLED
    there = {path.name for path in (tmp_path / "killed").iterdir()}
    assert len([name for name in there if name.startswith("part-")]) == 2
    assert "parts.json" not in there
    assert run("ours", "local", "killed") == 0
    assert run("ours", "local", "whole") == 0
    assert listed(tmp_path / "killed") == listed(tmp_path / "whole")
    assert rows_of(tmp_path / "whole") == KEYS


def test_control_appended_rows_are_doubled_by_the_same_kill(run, tmp_path):
    assert run("naive", "local", "killed", "driver:0007.jpg") == KILLED
    assert run("naive", "local", "killed") == 0
    rows = appended(tmp_path / "killed")
    assert sorted(set(rows)) == KEYS
    assert len(rows) == COUNT + 1  # 0006 was written before the kill and again after it


@needs_ray
@patient
def test_two_ray_workers_one_killed_then_the_driver_write_the_same_bytes_as_one_process(
    run, tmp_path
):
    code = run("ours", "ray", "ray", "worker:0004.jpg", "driver:0016.jpg")
    assert code == KILLED
    assert not (tmp_path / "ray" / "parts.json").exists()
    assert run("ours", "ray", "ray") == 0
    assert run("ours", "local", "local") == 0
    assert listed(tmp_path / "ray") == listed(tmp_path / "local")
    assert rows_of(tmp_path / "ray") == KEYS


@needs_ray
@patient
def test_control_appended_rows_are_doubled_when_ray_repeats_a_killed_part(run, tmp_path):
    assert run("naive", "ray", "killed", "worker:0004.jpg") == 0
    rows = appended(tmp_path / "killed")
    assert sorted(set(rows)) == KEYS
    assert len(rows) > COUNT
