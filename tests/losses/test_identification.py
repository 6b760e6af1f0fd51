"""Supplementary A.1 and A.2, each equation against an explicit float64 loop."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from losses.loops import logits_loop, losses_loop, mean_of, probabilities_loop, uniform, unit
from urface.losses import identification_logits, identification_loss

B, C, D = 4, 6, 5


def normal_density(z: list[float], mean: list[float], variance: float) -> float:
    """N(z; mean, variance I), equation 16 as it is printed."""
    distance = math.fsum((a - b) ** 2 for a, b in zip(z, mean, strict=True))
    return math.exp(-distance / (2 * variance)) / (2 * math.pi * variance) ** (len(z) / 2)


def posterior_loop(mean: Tensor, confidence: Tensor, prototypes: Tensor) -> list[list[float]]:
    """Equations 17, 18 and 20, 21: Bayes with a flat prior over products of K densities."""
    rows = []
    for f, s in zip(mean.tolist(), confidence.tolist(), strict=True):
        likelihood = [
            math.prod(normal_density(w[k], f[k], 1.0 / s[k]) for k in range(len(f)))
            for w in prototypes.tolist()
        ]
        rows.append([value / math.fsum(likelihood) for value in likelihood])
    return rows


@pytest.mark.parametrize("variance", [0.02, 0.5, 3.0])
def test_gaussian_posterior_is_the_softmax_of_the_logits_for_one_embedding(variance: float) -> None:
    f, w = unit(B, 1, D, seed=0), unit(C, 1, D, seed=1)
    s = torch.full((B, 1), 1.0 / variance, dtype=torch.float64)
    expected = torch.tensor(posterior_loop(f, s, w), dtype=torch.float64)
    torch.testing.assert_close(
        identification_logits(f, s, w).softmax(1), expected, rtol=1e-11, atol=1e-14
    )


@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_product_posterior_is_the_softmax_of_k_times_the_mean_logits(k: int) -> None:
    f, w = unit(B, k, D, seed=2), unit(C, k, D, seed=3)
    s = uniform(B, k, low=0.2, high=9.0, seed=4)
    expected = torch.tensor(posterior_loop(f, s, w), dtype=torch.float64)
    # The product of the densities gives the sum over k (eq. 24); the loss takes the mean.
    torch.testing.assert_close(
        (k * identification_logits(f, s, w)).softmax(1), expected, rtol=1e-11, atol=1e-14
    )


def test_posterior_differs_where_prototypes_are_not_of_unit_length() -> None:
    """The control: without unit length the step from eq. 23 to eq. 24 does not hold."""
    f, w = unit(B, 2, D, seed=2), unit(C, 2, D, seed=3)
    w = w * uniform(C, 2, 1, low=0.5, high=1.5, seed=5)
    s = uniform(B, 2, low=0.2, high=9.0, seed=4)
    expected = torch.tensor(posterior_loop(f, s, w), dtype=torch.float64)
    assert ((2 * identification_logits(f, s, w)).softmax(1) - expected).abs().max() > 1e-2


def test_equation_24_is_equation_23_plus_the_sum_of_the_confidences() -> None:
    k = 3
    f, w = unit(B, k, D, seed=6), unit(C, k, D, seed=7)
    s = uniform(B, k, low=0.1, high=60.0, seed=8)
    logits = identification_logits(f, s, w)
    for i in range(B):
        for j in range(C):
            squared = [float(((f[i, q] - w[j, q]) ** 2).sum()) for q in range(k)]
            eq_23 = -math.fsum(squared[q] / (2.0 / float(s[i, q])) for q in range(k))
            constant = math.fsum(s[i].tolist())
            assert k * float(logits[i, j]) - constant == pytest.approx(eq_23, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (1, 1, 1, 1), (2, 1, 7, 3), (3, 16, 1, 2)])
def test_logits_equal_the_loop(shape: tuple[int, int, int, int]) -> None:
    b, k, d, c = shape
    f, w, s = (
        unit(b, k, d, seed=9),
        unit(c, k, d, seed=10),
        uniform(b, k, low=1e-3, high=128, seed=11),
    )
    expected = torch.tensor(logits_loop(f, s, w), dtype=torch.float64)
    torch.testing.assert_close(identification_logits(f, s, w), expected, rtol=1e-12, atol=1e-12)


def test_logit_of_the_own_prototype_is_the_mean_confidence_and_of_its_antipode_minus_that() -> None:
    f, s = unit(B, 4, D, seed=12), uniform(B, 4, low=1.0, high=128.0, seed=13)
    logits = identification_logits(f, s, torch.cat([f, -f]))
    torch.testing.assert_close(logits.diagonal(), s.mean(1))
    torch.testing.assert_close(logits[:, B:].diagonal(), -s.mean(1))


@pytest.mark.parametrize("margin", [0.0, 0.35, 9.0, 30.0])
@pytest.mark.parametrize("k", [1, 4])
def test_loss_equals_the_loop(k: int, margin: float) -> None:
    f, w, s = (
        unit(B, k, D, seed=14),
        unit(C, k, D, seed=15),
        uniform(B, k, low=1, high=128, seed=16),
    )
    labels = [0, 5, 2, 2]
    loss = identification_loss(identification_logits(f, s, w), torch.tensor(labels), margin)
    expected = mean_of(losses_loop(logits_loop(f, s, w), labels, margin))
    assert float(loss) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("margin", [0.0, 4.0])
@pytest.mark.parametrize("k", [1, 3])
def test_gradients_are_equations_25_and_26_with_the_mean_over_k_and_the_batch(
    k: int, margin: float
) -> None:
    f, w, s = unit(B, k, D, seed=17), unit(C, k, D, seed=18), uniform(B, k, low=1, high=20, seed=19)
    labels = [3, 0, 3, 5]
    for leaf in (f, w, s):
        leaf.requires_grad_(True)
    logits = identification_logits(f, s, w)
    logits.retain_grad()
    identification_loss(logits, torch.tensor(labels), margin).backward()

    p = probabilities_loop(logits_loop(f.detach(), s.detach(), w.detach()), labels, margin)
    one = [[1.0 if j == labels[i] else 0.0 for j in range(C)] for i in range(B)]
    da, df = torch.zeros(B, C).double(), torch.zeros(B, k, D).double()
    dw, ds = torch.zeros(C, k, D).double(), torch.zeros(B, k).double()
    for i in range(B):
        for j in range(C):
            da[i, j] = (p[i][j] - one[i][j]) / B
            for q in range(k):
                scaled = s[i, q].detach() / k / B
                dw[j, q] += scaled * (p[i][j] - one[i][j]) * f[i, q].detach()
                # Eq. 26, second line: the target's prototype with p - 1, every other with p.
                factor = p[i][j] - 1.0 if j == labels[i] else p[i][j]
                df[i, q] += scaled * factor * w[j, q].detach()
                cosine = float(f[i, q].detach() @ w[j, q].detach())
                ds[i, q] += (p[i][j] - one[i][j]) * cosine / k / B
    for leaf, expected in ((logits, da), (w, dw), (f, df), (s, ds)):
        torch.testing.assert_close(leaf.grad, expected, rtol=1e-10, atol=1e-14)


def test_gradcheck_passes_through_logits_and_loss() -> None:
    f, w, s = unit(3, 2, 3, seed=20), unit(4, 2, 3, seed=21), uniform(3, 2, low=1, high=6, seed=22)
    labels = torch.tensor([1, 3, 0])
    for leaf in (f, w, s):
        leaf.requires_grad_(True)

    def loss(f: Tensor, s: Tensor, w: Tensor) -> Tensor:
        return identification_loss(identification_logits(f, s, w), labels, 1.5)

    assert torch.autograd.gradcheck(loss, (f, s, w))


def cosface(embedding: Tensor, weight: Tensor, labels: list[int], s: float, m: float) -> Tensor:
    """CosFace as Wang et al. (CVPR 2018, eq. 4) print it: raw features in, one image at a time."""
    total = torch.zeros((), dtype=embedding.dtype)
    for x, y in zip(embedding, labels, strict=True):
        cosines = [torch.dot(x, w) / (x.norm() * w.norm()) for w in weight]
        target = torch.exp(s * (cosines[y] - m))
        others = sum(torch.exp(s * c) for j, c in enumerate(cosines) if j != y)
        total = total - torch.log(target / (target + others))
    return total / len(labels)


@pytest.mark.parametrize(("scale", "margin"), [(30.0, 10.5), (64.0, 22.4), (1.0, 0.0)])
def test_k1_with_constant_confidence_equals_cosface(scale: float, margin: float) -> None:
    labels = [0, 4, 4, 1]
    generator = torch.Generator().manual_seed(23)
    raw = torch.randn(B, D, generator=generator, dtype=torch.float64)
    weight = torch.randn(C, D, generator=generator, dtype=torch.float64)
    grads = []
    losses = []
    for ours in (True, False):
        x, w = raw.clone().requires_grad_(True), weight.clone().requires_grad_(True)
        if ours:
            s = torch.full((B, 1), scale, dtype=torch.float64)
            mean, prototypes = F.normalize(x, dim=1)[:, None], F.normalize(w, dim=1)[:, None]
            logits = identification_logits(mean, s, prototypes)
            loss = identification_loss(logits, torch.tensor(labels), margin)
        else:
            loss = cosface(x, w, labels, scale, margin / scale)
        loss.backward()
        losses.append(loss.detach())
        grads.append((x.grad, w.grad))
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-9, atol=1e-13)


def test_any_k_with_constant_confidence_is_cosface_on_the_joined_embedding() -> None:
    """The mean of K cosines is the cosine of the K unit vectors set end to end."""
    k, scale, margin, labels = 4, 20.0, 5.0, [1, 2, 0, 5]
    f, w = unit(B, k, D, seed=24), unit(C, k, D, seed=25)
    s = torch.full((B, k), scale, dtype=torch.float64)
    loss = identification_loss(identification_logits(f, s, w), torch.tensor(labels), margin)
    expected = cosface(f.flatten(1), w.flatten(1), labels, scale, margin / scale)
    torch.testing.assert_close(loss, expected, rtol=1e-11, atol=0)


def test_margin_is_not_scaled_by_the_confidence() -> None:
    f, w = unit(B, 1, D, seed=26), unit(C, 1, D, seed=27)
    labels = torch.tensor([0, 1, 2, 3])
    for scale in (2.0, 50.0):
        logits = identification_logits(f, torch.full((B, 1), scale).double(), w)
        moved = logits.clone()
        moved[range(B), labels] -= 3.0
        torch.testing.assert_close(
            identification_loss(logits, labels, 3.0), F.cross_entropy(moved, labels)
        )


def test_a_label_that_is_no_class_is_refused() -> None:
    logits = torch.zeros(2, 3)
    for label in (-1, 3):
        with pytest.raises(ValueError, match=f"label {label}"):
            identification_loss(logits, torch.tensor([0, label]), 0.0)
