"""Stage two moves its own branch and nothing else, from the level of the distances, and slows down."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from urface.config import (
    ModelSettings,
    ObjectiveSettings,
    TrainSettings,
    UncertaintySettings,
    VariationSettings,
)
from urface.data.frames import Frames
from urface.environment import environment
from urface.models.heads import ConfidenceHead
from urface.models.urface import URFace, build_urface
from urface.training.logs import read_log
from urface.training.train import training_faces
from urface.training.uncertainty import start_at_distances, train_uncertainty

from .conftest import Settings


@pytest.fixture
def plan(tmp_path: Path, settings: Settings) -> TrainSettings:
    """Every step sees all images of all people, unchanged."""
    still = VariationSettings(low_resolution=0.0, occlusion=0.0, flip=0.0)
    model = ModelSettings("tiny", 64, 64, 32, 4, 16.0, (1.0, 64.0))
    made = settings(tmp_path, variations=still, model=model)
    return replace(made, uncertainty=UncertaintySettings(24, 8, 6))


def frozen(plan: TrainSettings, frames: Frames) -> URFace:
    """A model with random weights whose BatchNorms know the images."""
    torch.manual_seed(0)
    model = build_urface(plan.model, plan.objective)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(torch.stack([torch.from_numpy(frames.get(place)[0]) for place in range(48)]))
    return model


def stage_two(plan: TrainSettings, model: URFace, frames: Frames) -> list[float]:
    train_uncertainty(plan, model, frames, environment(plan.run), progress=False)
    lines = read_log(Path(plan.run.out) / "log.jsonl")
    return [line["L_unc"] for line in lines if line["stage"] == "uncertainty"]


def test_only_its_own_branch_changes_and_its_loss_falls(plan: TrainSettings) -> None:
    frames = Frames(training_faces(plan), 64, cache_gigabytes=1.0, progress=False)
    model = frozen(plan, frames)
    model.train()  # as stage one leaves it
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert any("running_var" in name for name in before)
    losses = stage_two(plan, model, frames)
    after = model.state_dict()
    own = {name for name in after if name.startswith("uncertainty_head.")}
    assert after.keys() - own == before.keys()
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    assert not torch.equal(after["uncertainty_head.fc.weight"], after["confidence_head.fc.weight"])
    assert len(losses) == 24
    assert losses[-1] < losses[0] - 0.01
    assert all(later < sooner for sooner, later in pairwise(losses[:16]))


def test_the_variances_start_at_the_genuine_distances() -> None:
    torch.manual_seed(1)
    trunk = torch.randn(12, 20)
    mean = nn.functional.normalize(torch.randn(12, 3, 5), dim=2)
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 5])
    head = ConfidenceHead(20, 3, bounds=(1e-6, 1e6))
    head.requires_grad_(False)
    before = head(trunk)
    start_at_distances(head, mean, trunk, labels)
    for k in range(3):
        distances = [
            float((mean[i, k] - mean[j, k]).square().sum())
            for i in range(12)
            for j in range(i + 1, 12)
            if labels[i] == labels[j]
        ]
        level = math.log(sum(distances) / len(distances) / (2 * 5))
        assert float(-head(trunk)[:, k].mean()) == pytest.approx(level, abs=1e-5)
    shift = head(trunk) - before  # a level alone: what tells images apart stays
    torch.testing.assert_close(shift, shift[:1].expand(12, -1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("decay_at", "full"), [(2 / 3, 6), (0.0, 0), (1.0, 9)])
def test_the_rate_falls_to_a_tenth_at_decay_at(
    plan: TrainSettings, monkeypatch: pytest.MonkeyPatch, decay_at: float, full: int
) -> None:
    rates: list[float] = []

    class Recorded(torch.optim.Adam):
        def step(self, closure=None):  # type: ignore[no-untyped-def, override]
            rates.extend(group["lr"] for group in self.param_groups)
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Recorded)
    short = UncertaintySettings(9, 2, 2, learning_rate=0.002, decay_at=decay_at)
    frames = Frames(training_faces(plan), 64, cache_gigabytes=1.0, progress=False)
    stage_two(replace(plan, uncertainty=short), frozen(plan, frames), frames)
    assert rates == pytest.approx([0.002] * full + [0.0002] * (9 - full))


def test_a_baseline_without_confidences_gets_variances_too(plan: TrainSettings) -> None:
    single = replace(
        plan,
        model=replace(plan.model, sub_embeddings=1),
        objective=ObjectiveSettings("cosface", 0.3),
        uncertainty=UncertaintySettings(4, 4, 2),
    )
    frames = Frames(training_faces(single), 64, cache_gigabytes=1.0, progress=False)
    model = frozen(single, frames)
    losses = stage_two(single, model, frames)
    assert len(losses) == 4
    assert model.uncertainty_head is not None
