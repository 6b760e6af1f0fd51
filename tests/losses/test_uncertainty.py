"""Stage two's loss: against a loop, its optimum, its pairs."""

from __future__ import annotations

import math

import pytest
import torch

from losses.loops import mean_of, uniform, unit
from urface.losses import genuine_pairs, uncertainty_loss


def loss_loop(mean: torch.Tensor, variance: torch.Tensor, labels: list[int]) -> float:
    f, v = mean.tolist(), variance.tolist()
    k, d = mean.shape[1:]
    scores = []
    for i in range(len(f)):
        for j in range(i + 1, len(f)):
            if labels[i] != labels[j]:
                continue
            terms = []
            for q in range(k):
                total = v[i][q] + v[j][q]
                distance = math.fsum((a - b) ** 2 for a, b in zip(f[i][q], f[j][q], strict=True))
                terms.append(distance / total + d * math.log(total))
            scores.append(-0.5 * math.fsum(terms))
    return -mean_of(scores) / (k * d)


@pytest.mark.parametrize("labels", [[0, 0], [3, 1, 3, 3, 1, 2], [5, 5, 5, 5]])
@pytest.mark.parametrize("k", [1, 3])
def test_loss_equals_the_loop_over_genuine_pairs(k: int, labels: list[int]) -> None:
    f = unit(len(labels), k, 4, seed=0)
    v = uniform(len(labels), k, low=1e-3, high=2.0, seed=1)
    got = uncertainty_loss(f, v, torch.tensor(labels))
    assert got.item() == pytest.approx(loss_loop(f, v, labels), rel=1e-12)


def test_pairs_are_every_two_images_of_one_person_once() -> None:
    labels = [7, 2, 7, 2, 7, 9]
    first, second = genuine_pairs(torch.tensor(labels))
    expected = {(i, j) for i in range(6) for j in range(i + 1, 6) if labels[i] == labels[j]}
    assert len(first) == len(expected)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected


def test_best_shared_variance_is_the_squared_distance_over_2d() -> None:
    """d/dv of dist / 2v + D log 2v is 0 at v = dist / 2D, and the loss is larger on both sides."""
    k, d = 3, 8
    f = unit(2, k, d, seed=2)
    best = (f[0] - f[1]).square().sum(1) / (2 * d)

    def loss(factor: float) -> torch.Tensor:
        return uncertainty_loss(f, (best * factor).expand(2, k), torch.tensor([4, 4]))

    variance = best.clone().requires_grad_(True)
    uncertainty_loss(f, variance.expand(2, k), torch.tensor([4, 4])).backward()
    assert variance.grad is not None
    assert variance.grad.abs().max() < 1e-12
    assert loss(1.0) < loss(0.9)
    assert loss(1.0) < loss(1.1)


def test_gradient_lowers_the_variance_of_agreeing_pairs_and_raises_that_of_others() -> None:
    same = unit(1, 1, 4, seed=3)
    for partner, sign in ((same, 1.0), (-same, -1.0)):
        variance = torch.full((2, 1), 0.05, dtype=torch.float64, requires_grad=True)
        uncertainty_loss(torch.cat([same, partner]), variance, torch.tensor([0, 0])).backward()
        assert variance.grad is not None
        assert (variance.grad * sign > 0).all()


def test_gradcheck_passes() -> None:
    f = unit(4, 2, 3, seed=4).requires_grad_(True)
    v = uniform(4, 2, low=0.1, high=1.0, seed=5).requires_grad_(True)
    labels = torch.tensor([0, 1, 0, 1])
    assert torch.autograd.gradcheck(lambda f, v: uncertainty_loss(f, v, labels), (f, v))


@pytest.mark.parametrize("labels", [[0], [0, 1, 2]])
def test_a_batch_without_a_genuine_pair_is_refused(labels: list[int]) -> None:
    f = unit(len(labels), 2, 3, seed=6)
    with pytest.raises(ValueError, match="same person"):
        uncertainty_loss(f, torch.ones(len(labels), 2).double(), torch.tensor(labels))
