"""A fault that one rank meets ends all of them with one line, and what they decide is the same on all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("agreeing.py")
Said = list[dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, faces_folder: Path) -> Said:
    folder = tmp_path_factory.mktemp("agreeing").resolve()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(PROGRAM), str(folder), str(faces_folder)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=280)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    ranks: Said = json.loads(done.stdout.splitlines()[-1])
    assert len(ranks) == 2
    return ranks


def test_a_training_set_that_is_missing_is_one_line_on_all_ranks(found: Said) -> None:
    first, second = (rank["missing"][:2] for rank in found)
    assert first == second
    assert first[0] == "UserError"
    assert "nowhere: nothing there" in first[1]


def test_a_diagnosis_that_one_rank_cannot_write_is_an_error_on_all(found: Said) -> None:
    first, second = (rank["diagnosis"] for rank in found)
    assert first[0] == "UserError"
    assert first[1].startswith("rank 1 failed: ")
    assert "diagnosis_rank1.json" in first[1]
    assert second[0] == "IsADirectoryError"
    assert first[2] < 30


def test_the_last_rollback_is_allowed_or_refused_on_all_ranks_alike(found: Said) -> None:
    assert [rank["rollbacks"] for rank in found] == [[True, False]] * 2


def test_corrupt_images_that_any_rank_met_are_known_to_all(found: Said) -> None:
    both = ["p/1.png", "p/3.png"]
    assert [rank["corrupt"] for rank in found] == [[[key], both, both] for key in both]
