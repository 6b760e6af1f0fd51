"""Stage two on a finished embedding: PFE trains its variances and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.conftest import Settings
from urface.config import ModelSettings, ObjectiveSettings, UncertaintySettings
from urface.models.files import load_model
from urface.training import train
from urface.types import UserError


def test_pfe_leaves_the_frozen_baseline_bit_for_bit(tmp_path: Path, settings: Settings) -> None:
    model = ModelSettings("small", 64, 66, 32, 1, 16.0, (1.0, 64.0))
    plan = settings(
        tmp_path / "base", 1, model=model, objective=ObjectiveSettings("cosface", 0.2, 0.0)
    )
    base = train.train(plan, progress=False)
    stage = UncertaintySettings(3, 4, 2, per_dimension=True)
    pfe = replace(plan, uncertainty=stage, run=replace(plan.run, out=str(tmp_path / "pfe")))
    path = train.train(pfe, progress=False, embedding=base)
    before, after = load_model(base)[0].state_dict(), load_model(path)[0].state_dict()
    new = set(after) - set(before)
    assert new == {"uncertainty_head.fc.weight", "uncertainty_head.fc.bias"}
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert after["uncertainty_head.fc.bias"].shape == (32,)
    assert not (tmp_path / "pfe" / "checkpoints").exists()


def test_an_embedding_of_other_settings_is_refused(tmp_path: Path, settings: Settings) -> None:
    base = train.train(settings(tmp_path / "base", 1), progress=False)
    other = settings(tmp_path / "other", 2, 3)
    with pytest.raises(UserError, match=r"optim\.epochs"):
        train.train(other, progress=False, embedding=base)
