"""A fault that one rank meets ends all of them with one line, and what they decide is the same on all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apart import apart
from training.agreeing import AT, both, lacking, lacking_unforeseen
from urface.training.logs import read_log

Said = list[dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, faces_folder: Path) -> Said:
    folder = tmp_path_factory.mktemp("agreeing").resolve()
    ranks: Said = apart(both, folder, str(faces_folder))
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


def test_one_rank_without_its_batch_ends_all_with_its_line_before_that_step(
    tmp_path: Path, faces_folder: Path
) -> None:
    ranks = apart(lacking, tmp_path, str(faces_folder))
    for stage, folder in (("embedding", "one"), ("uncertainty", "two")):
        first, second = (rank[stage] for rank in ranks)
        assert first[:2] == second[:2]
        assert first[0] == "UserError"
        assert "cannot be decoded, more than the 0.00% that data.corrupt_share allows" in first[1]
        assert max(first[2], second[2]) < 30
        assert [line["step"] for line in read_log(tmp_path / folder / "log.jsonl")] == [1, 2, 3]
    assert AT == 3

    # The control: a loop that meets the error when the batch is due leaves the other rank's exchange broken.
    assert sorted(apart(lacking_unforeseen, tmp_path, str(faces_folder))) == [
        "RuntimeError",
        "UserError",
    ]
