"""The corrupt images that a run met before it was stopped are in the model that it ends with (goal G11)."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from training.conftest import Settings
from urface.config import DataSettings, ModelSettings
from urface.models.files import load_model
from urface.training.train import train


@pytest.mark.parametrize("alone", [False, True])
def test_a_run_that_only_goes_on_knows_the_corrupt_images_and_writes_none_again(
    tmp_path: Path, settings: Settings, faces_folder: Path, alone: bool
) -> None:
    faces = tmp_path / "faces"
    shutil.copytree(faces_folder, faces)
    bad = faces / "p2" / "3.png"
    bad.write_bytes(bad.read_bytes()[:-20])
    plan = settings(
        tmp_path / "run",
        epochs=1,
        uncertainty=12,
        data=DataSettings(str(faces), cache_gigabytes=0.0),
        model=ModelSettings("tiny", 64, 66, 32, 4, 16.0, (1.0, 64.0)),
    )
    path, embedding = train(plan, progress=False), None
    if alone:  # stage two, whose checkpoints know of its images themselves
        embedding = path
        plan = replace(plan, run=replace(plan.run, out=str(tmp_path / "second")))
        path = train(plan, None, False, embedding)
    known = load_model(path)[2]["corrupt"]
    assert list(known) == ["p2/3.png"]
    log = Path(plan.run.out) / "corrupt.jsonl"
    written = log.read_text()
    assert written.count("\n") == 1

    path.unlink()
    train(plan, None, False, embedding)  # from the last checkpoint: no image is read
    assert load_model(path)[2]["corrupt"] == known
    shutil.rmtree(path.parent / "checkpoints", ignore_errors=True)
    shutil.rmtree(path.parent / "checkpoints_uncertainty")
    path.unlink()
    train(plan, None, False, embedding)  # all anew
    assert load_model(path)[2]["corrupt"] == known
    assert log.read_text() == written
