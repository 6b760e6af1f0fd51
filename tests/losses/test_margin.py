"""ArcFace against acos, at the ends of the cosine, and in shards."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from urface.losses import arcface_logits, arcface_target

MARGINS = [0.0, 0.1, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("margin", MARGINS)
def test_target_is_cos_of_theta_plus_m_away_from_the_ends(margin: float) -> None:
    for degrees in range(2, 179):
        theta = math.radians(degrees)
        if theta >= math.pi - margin:
            expected = math.cos(theta) - margin * math.sin(margin)
        else:
            expected = math.cos(math.acos(math.cos(theta)) + margin)
        got = arcface_target(torch.tensor([math.cos(theta)], dtype=torch.float64), margin)
        assert got.item() == pytest.approx(expected, abs=1e-12)


def test_slope_is_that_of_cos_theta_plus_m() -> None:
    margin = 0.5
    for degrees in (5, 40, 90, 140):
        theta = math.radians(degrees)
        cosine = torch.tensor([math.cos(theta)], dtype=torch.float64, requires_grad=True)
        arcface_target(cosine, margin).sum().backward()
        assert cosine.grad is not None
        # d cos(theta + m) / d cos(theta) = sin(theta + m) / sin(theta)
        expected = math.sin(theta + margin) / math.sin(theta)
        assert cosine.grad.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("margin", MARGINS)
def test_value_and_gradient_are_finite_at_and_beyond_the_ends(
    margin: float, dtype: torch.dtype
) -> None:
    # A product of unit vectors in float32 leaves [-1, 1] by a rounding.
    ends = [1.0, -1.0, 1.0 - 6e-8, -1.0 + 6e-8, 1.0 + 1.2e-7, -1.0 - 1.2e-7, 1 - 5e-8, 1 - 1e-7]
    cosine = torch.tensor(ends, dtype=dtype, requires_grad=True)
    target = arcface_target(cosine, margin)
    target.sum().backward()
    assert torch.isfinite(target).all()
    assert cosine.grad is not None
    assert torch.isfinite(cosine.grad).all()
    assert target[0].item() == pytest.approx(math.cos(margin), abs=4e-4)


@pytest.mark.parametrize("margin", MARGINS)
def test_target_falls_monotonically_in_theta(margin: float) -> None:
    cosine = torch.cos(torch.linspace(0, math.pi, 200_001, dtype=torch.float64))
    assert (arcface_target(cosine, margin).diff() <= 0).all()


def test_cos_theta_plus_m_alone_would_rise_again() -> None:
    """The control: without the second branch the harness above fails."""
    theta = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    assert (torch.cos(theta + 0.5).diff() > 0).any()


def test_logits_change_in_the_target_only() -> None:
    scale, margin, labels = 30.0, 0.5, [2, 0]
    cosines = torch.tensor([[0.1, 0.2, 0.8], [-0.95, 0.3, 1.0]], dtype=torch.float64)
    got = arcface_logits(cosines * scale, torch.tensor(labels), scale, margin)
    for i in range(2):
        for j in range(3):
            c = cosines[i, j].item()
            if j != labels[i]:
                expected = c
            elif math.acos(c) + margin < math.pi:
                expected = math.cos(math.acos(c) + margin)
            else:
                expected = c - margin * math.sin(margin)
            assert got[i, j].item() == pytest.approx(scale * expected, abs=1e-10)


def test_shards_put_together_are_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (torch.rand(5, 7, generator=generator, dtype=torch.float64) * 2 - 1) * 30
    labels = torch.tensor([0, 6, 3, 2, 3])
    whole = arcface_logits(logits, labels, 30.0, 0.5)
    cuts = [0, 3, 3, 7]  # the middle rank has no class
    shards = [
        arcface_logits(logits[:, low:high], labels, 30.0, 0.5, low) for low, high in pairwise(cuts)
    ]
    assert torch.equal(torch.cat(shards, 1), whole)


def test_gradcheck_passes_through_the_logits() -> None:
    cosines = torch.tensor([[0.1, 0.2, 0.8], [-0.95, 0.3, 0.6]], dtype=torch.float64)
    logits = (10 * cosines).requires_grad_(True)
    labels = torch.tensor([2, 0])
    assert torch.autograd.gradcheck(lambda x: arcface_logits(x, labels, 10.0, 0.5), (logits,))
