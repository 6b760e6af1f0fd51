"""SGD of prototypes: sampled rows against a loop, resting rows, rounding of bf16."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from urface.config import ObjectiveSettings, OptimSettings, TrainSettings
from urface.training.optim import clip_gradients
from urface.training.prototype_sgd import PrototypeSGD, rounded
from urface.types import UserError

RATE, MOMENTUM, DECAY = 0.1, 0.9, 0.01


def made(weight: Tensor, stored: str) -> tuple[nn.Parameter, PrototypeSGD]:
    parameter = nn.Parameter(weight)
    group = {"params": [parameter], "stored": stored}
    return parameter, PrototypeSGD([group], lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)


def sparse(rows: list[int], values: Tensor, classes: int) -> Tensor:
    return torch.sparse_coo_tensor(
        torch.tensor([rows]), values, (classes, *values.shape[1:]), check_invariants=True
    )


def test_drawn_rows_move_as_sgd_moves_them_and_the_others_rest() -> None:
    g = torch.Generator().manual_seed(0)
    start = torch.randn(5, 1, 3, generator=g)
    weight, optimizer = made(start.clone(), "fp32")
    expected, speed = start.double(), torch.zeros(5, 1, 3).double()
    for rows in ([0, 3], [3, 4], [0, 4], [1, 3]):
        values = torch.randn(2, 1, 3, generator=g)
        weight.grad = sparse(rows, values, 5)
        optimizer.step()
        for row, value in zip(rows, values, strict=True):
            speed[row] = MOMENTUM * speed[row] + value + DECAY * expected[row]
            expected[row] = expected[row] - RATE * speed[row]
    torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(weight[2], start[2])  # never drawn: neither decay nor momentum


def test_dense_float32_moves_to_the_bit_as_with_torch() -> None:
    g = torch.Generator().manual_seed(1)
    start = torch.randn(6, 2, 3, generator=g)
    weight, ours = made(start.clone(), "fp32")
    other = nn.Parameter(start.clone())
    torchs = torch.optim.SGD([other], lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    for _ in range(3):
        weight.grad = torch.randn(6, 2, 3, generator=g)
        other.grad = weight.grad.clone()
        ours.step()
        torchs.step()
    assert torch.equal(weight, other)


def test_bf16_is_rounded_to_a_neighbour_and_right_on_average() -> None:
    values = torch.tensor([1.0, 1.001, -0.3337, 1e-5, 0.0])
    noise = torch.Generator().manual_seed(0)
    many = torch.stack([rounded(values, torch.bfloat16, noise).float() for _ in range(4000)])
    assert ((many - values).abs() <= 2**-7 * values.abs()).all()
    assert ((many.mean(0) - values).abs() <= 5 * 2**-8 * values.abs() / 4000**0.5).all()


@pytest.mark.parametrize("stored", ["bf16", "bf16_master"])
def test_steps_too_small_for_bf16_add_up(stored: str) -> None:
    """200 steps of 1/2000 of the weight; rounded to the nearest, bf16 would not move at all."""
    weight, optimizer = made(torch.ones(64, 1, 8).bfloat16(), stored)
    for group in optimizer.param_groups:
        group["momentum"], group["weight_decay"] = 0.0, 0.0
    control = torch.ones(()).bfloat16()
    for _ in range(200):
        weight.grad = torch.full_like(weight, 0.005)
        optimizer.step()
        control = control - (RATE * torch.tensor(0.005)).bfloat16()
    assert float(weight.detach().float().mean()) == pytest.approx(0.9, abs=0.01)
    assert float(control) == 1.0


def test_clipping_counts_the_rows_of_a_sparse_gradient_once() -> None:
    shared, weight = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(4, 1, 2))
    shared.grad = torch.tensor([0.0, 2.0])
    # The same row twice, as parts of a batch give it.
    weight.grad = sparse([1, 3, 1], torch.tensor([[[1.0, 0]], [[2.0, 0]], [[0.0, 0]]]), 4)
    assert clip_gradients([shared], [weight], 1.5).item() == pytest.approx(3.0)
    assert weight.grad.to_dense()[3, 0, 0].item() == pytest.approx(1.0, rel=1e-5)


def test_adam_does_not_go_with_rows_that_rest() -> None:
    for objective in (ObjectiveSettings(sample_classes=0.5), ObjectiveSettings(prototypes="bf16")):
        with pytest.raises(UserError, match="sgd"):
            TrainSettings(objective=objective, optim=OptimSettings("adamw"))
