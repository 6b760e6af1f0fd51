"""Runs that change their number of ranks, fail on one of them, or lose one (goals G5, G6, G8, G10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from apart import apart
from training.forked import after_stage_one, faults, kills, moved, worlds
from urface.data.open import open_faces


def test_a_run_on_1_2_4_2_and_1_ranks_sees_the_images_and_losses_of_one(
    tmp_path: Path, faces_folder: Path
) -> None:
    found = apart(worlds, tmp_path, str(faces_folder))
    one, many = found["one"], found["many"]
    assert many["ids"] == one["ids"]
    assert len(one["losses"]) == len(many["losses"]) == 18
    for first in (0, 4, 8, 12, 16):
        assert many["losses"][first] == pytest.approx(one["losses"][first], rel=1e-6)
    assert many["losses"] == pytest.approx(one["losses"], rel=1e-5)


def test_sampled_classes_are_the_same_on_another_number_of_ranks(
    tmp_path: Path, faces_folder: Path
) -> None:
    runs = {"one": [(1, -1)], "moved": [(1, 2), (2, 1), (1, -1)]}
    found = apart(moved, tmp_path, str(faces_folder), "fp32", 1e-4, runs)
    assert len(found["one"]) == 6
    assert found["moved"] == pytest.approx(found["one"], rel=1e-5)


@pytest.mark.parametrize("stored", [pytest.param("bf16_master", marks=pytest.mark.slow), "bf16"])
def test_prototypes_in_bf16_go_on_from_the_same_numbers_on_another_number_of_ranks(
    tmp_path: Path, faces_folder: Path, stored: str
) -> None:
    """The first loss is that of what was saved; after it each number of ranks rounds by its own draw."""
    runs = {"one": [(1, -1)], "two": [(2, -1)], "up": [(1, 3), (2, -1)], "down": [(2, 3), (1, -1)]}
    found = apart(moved, tmp_path, str(faces_folder), stored, 0.02, runs)
    for moving, staying in (("up", "one"), ("down", "two")):
        assert found[moving][:5] == pytest.approx(found[staying][:5], rel=1e-6)
        assert found[moving][5] != found[staying][5]  # or the next line would say nothing
        assert found[moving] == pytest.approx(found[staying], rel=0.02)


def test_a_fault_on_one_rank_stops_both_with_its_name_and_keeps_the_checkpoint(
    tmp_path: Path, faces_folder: Path
) -> None:
    found = apart(faults, tmp_path, str(faces_folder))
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


def check_kills(folder: Path, data: Path, count: int, seconds: float = 280) -> None:
    found = apart(kills, folder, str(data), count, seconds=seconds)
    assert found["kills"] == count
    assert found["differing"] == []
    assert found["most_lost"] <= 5 + 1  # a save interval, and the step that was killed


def test_two_kills_of_a_rank_leave_the_run_as_if_undisturbed(
    tmp_path: Path, faces_folder: Path
) -> None:
    check_kills(tmp_path, faces_folder, 2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_of_a_rank_leave_the_run_as_if_undisturbed(
    tmp_path: Path, faces_folder: Path
) -> None:
    check_kills(tmp_path, faces_folder, 50, 3600)


def test_stage_two_begins_with_one_network_on_all_ranks(tmp_path: Path, faces_folder: Path) -> None:
    """BatchNorm's statistics are each rank's own after a step, and a restart would have rank 0's."""
    found = apart(after_stage_one, tmp_path, str(faces_folder))
    assert found["exchanged"][0] == found["exchanged"][1]
    assert found["alone"][0] != found["alone"][1]  # the control
