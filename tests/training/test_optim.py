"""The schedule, the groups and the clipping."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from urface.config import ModelSettings, ObjectiveSettings, OptimSettings
from urface.models.prototypes import Prototypes
from urface.models.urface import build_urface
from urface.training.optim import build_optimizer, clip_gradients, schedule, set_rate


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    settings = OptimSettings(learning_rate=0.4, warmup_share=0.1)
    rates = [schedule(step, 100, settings) for step in range(100)]
    assert rates[:10] == pytest.approx([0.04 * (i + 1) for i in range(10)])
    assert max(rates) == pytest.approx(0.4)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


def test_the_steps_schedule_divides_by_ten() -> None:
    settings = OptimSettings(learning_rate=1.0, warmup_share=0.0, schedule="steps")
    assert [schedule(s, 10, settings) for s in (0, 4, 5, 7, 8, 9)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_every_trained_parameter_is_in_one_group_and_vectors_do_not_decay() -> None:
    model = build_urface(ModelSettings("small", 64), ObjectiveSettings())
    prototypes = Prototypes(5, 16, 32)
    optimizer = build_optimizer(model, prototypes, OptimSettings(confidence_factor=0.25))
    grouped = [p for group in optimizer.param_groups for p in group["params"]]
    wanted = [p for p in model.parameters() if p.requires_grad] + list(prototypes.parameters())
    assert sorted(map(id, grouped)) == sorted(map(id, wanted))
    set_rate(optimizer, 0.8)
    bias = model.confidence_head.fc.bias  # type: ignore[union-attr]
    for group in optimizer.param_groups:
        ids = {id(p) for p in group["params"]}
        assert group["lr"] == pytest.approx(0.2 if id(bias) in ids else 0.8)
        if any(p.ndim < 2 for p in group["params"]):
            assert group["weight_decay"] == 0


def test_clipping_scales_the_joint_norm_of_shared_and_sharded_gradients() -> None:
    shared, sharded = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))
    shared.grad, sharded.grad = torch.tensor([2.0, 0.0, 1.0]), torch.tensor([2.0, 0.0])
    assert clip_gradients([shared], [sharded], 1.5) == pytest.approx(3.0)
    joint = torch.cat([shared.grad, sharded.grad])
    assert joint.norm() == pytest.approx(1.5, rel=1e-5)
    assert torch.allclose(joint * 2, torch.tensor([2.0, 0.0, 1.0, 2.0, 0.0]), rtol=1e-5)


def test_small_gradients_are_left_alone() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([0.3, 0.4])
    clip_gradients([parameter], [], 5.0)
    assert torch.equal(parameter.grad, torch.tensor([0.3, 0.4]))
