"""Decorrelation: its losses against slow loops, which gradient reaches what, and what training brings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from losses.loops import uniform, unit
from urface.config import ObjectiveSettings
from urface.losses import (
    Masked,
    adversarial_loss,
    classification_loss,
    classifier_loss,
    distance_correlation,
    masked_logits,
    objective,
)
from urface.models.masks import VariationClassifier, draw_masks

NAN = float("nan")


def problem(batch: int = 5, k: int = 6, d: int = 3, v: int = 4) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    weight, bias = torch.randn(v, k, d).double(), torch.randn(v).double()
    return unit(batch, k, d, seed=1), draw_masks(v, k), weight, bias


def logits_loop(f: Tensor, masks: Tensor, weight: Tensor, bias: Tensor) -> list[list[list[float]]]:
    """Cl(V_t f) with the masked embedding written out."""
    batch, k, d = f.shape
    out = [[[0.0] * len(bias) for _ in masks] for _ in range(batch)]
    for i in range(batch):
        for t, mask in enumerate(masks.tolist()):
            for v in range(len(bias)):
                total = bias[v].item()
                for place in range(k):
                    for dim in range(d):
                        masked = f[i, place, dim].item() if mask[place] else 0.0
                        total += weight[v, place, dim].item() * masked
                out[i][t][v] = total
    return out


def log_p(logit: float, label: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return label * math.log(p) + (1 - label) * math.log(1 - p)


def test_logits_are_those_of_a_masked_copy() -> None:
    got = masked_logits(*problem())
    want = torch.tensor(logits_loop(*problem()), dtype=torch.float64)
    assert got.shape == (5, 4, 4)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["hard", "soft", "unknown"])
def test_losses_equal_the_printed_sums(kind: str) -> None:
    logits = torch.tensor(logits_loop(*problem()), dtype=torch.float64)
    labels = uniform(5, 4, low=0, high=1, seed=2)
    if kind == "hard":
        labels = labels.round()
    if kind == "unknown":
        labels[1, 2] = labels[3, 2] = labels[0, 0] = NAN
    count = [sum(not math.isnan(u) for u in column) for column in labels.T.tolist()]
    learn = cls = adv = 0.0
    for i in range(5):
        for t in range(4):
            for v in range(4):
                a, u = logits[i, t, v].item(), labels[i, v].item()
                if not math.isnan(u):
                    learn -= log_p(a, u) / count[v]
                    if t == v:
                        cls -= log_p(a, u) / count[v]
                if t != v:
                    adv -= (0.5 * log_p(a, 0) + 0.5 * log_p(a, 1)) / 5
    assert classifier_loss(logits, labels).item() == pytest.approx(learn, rel=1e-12)
    assert classification_loss(logits, labels).item() == pytest.approx(cls, rel=1e-12)
    assert adversarial_loss(logits).item() == pytest.approx(adv, rel=1e-12)


def test_a_variation_nobody_knows_costs_nothing_and_has_a_finite_gradient() -> None:
    logits = torch.zeros(3, 2, 2, requires_grad=True)
    labels = torch.tensor([[NAN, 1.0]] * 3)
    loss = classifier_loss(logits, labels) + classification_loss(logits, labels)
    loss.backward()
    assert loss.item() == pytest.approx(
        3 * math.log(2)
    )  # two masks and one own mask tell the second
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, :, 0] == 0).all()


def test_adversarial_loss_is_least_log_two_a_term_where_nothing_is_said() -> None:
    least = adversarial_loss(torch.zeros(7, 3, 3))
    assert least.item() == pytest.approx(6 * math.log(2), rel=1e-6)
    assert (
        adversarial_loss(torch.randn(7, 3, 3, generator=torch.Generator().manual_seed(0))) > least
    )
    own = torch.diag_embed(torch.full((7, 3), 9.0))
    assert adversarial_loss(own).item() == pytest.approx(least.item())  # its own may be told


def test_shares_of_two_ranks_average_to_the_whole_batch() -> None:
    logits = torch.tensor(logits_loop(*problem(6)), dtype=torch.float64)
    labels = uniform(6, 4, low=0, high=1, seed=3)
    labels[0, 1] = labels[4, 2] = labels[5, 2] = NAN
    known = (~labels.isnan()).sum(0) / 2
    for loss in (classifier_loss, classification_loss):
        parts = [loss(logits[part], labels[part], known) for part in (slice(0, 3), slice(3, 6))]
        torch.testing.assert_close(torch.stack(parts).mean(), loss(logits, labels))


@pytest.mark.parametrize("extreme", [60.0, 1e4])
def test_extreme_logits_stay_finite(extreme: float) -> None:
    logits = torch.full((2, 2, 2), extreme).requires_grad_(True)
    total = adversarial_loss(logits) + classification_loss(logits, torch.zeros(2, 2))
    total.backward()
    assert torch.isfinite(total)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_the_network_s_terms_reach_the_embedding_and_not_the_classifier() -> None:
    f, masks, weight, bias = problem()
    f, weight, bias = (x.clone().requires_grad_(True) for x in (f, weight, bias))
    labels = uniform(5, 4, low=0, high=1, seed=4)
    logits = masked_logits(f, masks, weight.detach(), bias.detach())
    (classification_loss(logits, labels) + adversarial_loss(logits)).backward()
    assert f.grad is not None
    assert f.grad.abs().sum() > 0
    assert weight.grad is None
    assert bias.grad is None
    logits = masked_logits(f.detach(), masks, weight, bias)
    before = f.grad.clone()
    classifier_loss(logits, labels).backward()
    assert torch.equal(f.grad, before)
    assert weight.grad is not None
    assert bias.grad is not None
    assert weight.grad.abs().sum() > 0


def test_a_masked_out_sub_embedding_gets_no_gradient_from_its_mask() -> None:
    f, masks, weight, bias = problem()
    f.requires_grad_(True)
    masked_logits(f, masks, weight, bias)[:, 2, :].square().sum().backward()
    assert f.grad is not None
    moved = f.grad.abs().sum((0, 2)) > 0
    assert torch.equal(moved, masks[2])


def test_objective_adds_both_terms_at_their_weights() -> None:
    f, masks, weight, bias = problem()
    w, s = unit(6, 6, 3, seed=7), uniform(5, 6, low=1, high=9, seed=8)
    labels, u = torch.tensor([0, 1, 2, 3, 4]), uniform(5, 4, low=0, high=1, seed=9)
    names = ("a", "b", "c", "d")
    settings = ObjectiveSettings(margin=1.0, decorrelate=names, classification=3.0, adversarial=0.5)
    logits = masked_logits(f, masks, weight, bias)
    masked = Masked(logits, u, torch.full((4,), 5.0))
    plain = objective(settings, f, s, labels, w)
    terms = objective(settings, f, s, labels, w, masked=masked)
    assert set(terms.named) == {"L_idt", "L_reg", "L_cls", "L_adv"}
    added = 3.0 * classification_loss(logits, u) + 0.5 * adversarial_loss(logits)
    torch.testing.assert_close(terms.total, plain.total + added)


def test_distance_correlation_is_numpys() -> None:
    values = uniform(50, 4, low=0, high=2, seed=5)
    values[:, 1] = -values[:, 0] + 0.1 * values[:, 1]
    matrix = np.abs(np.corrcoef(values.numpy(), rowvar=False))
    want = (matrix.sum() - 4) / 12
    assert distance_correlation(values).item() == pytest.approx(want, rel=1e-10)
    assert distance_correlation(torch.ones(5, 3)).item() == 0.0  # nothing varies
    assert math.isnan(distance_correlation(torch.ones(5, 1)).item())


def test_masks_become_informative_on_their_own_variation_and_blind_to_the_other() -> None:
    """A made-up problem, judged by fresh probes and not by the classifier that took part.

    With a classifier that does not decay the fresh probes read everything from every mask in the end,
    though L_adv says that it is gone: the second half is the control.
    """
    start, end = _trained_and_probed(decay=0.01)
    assert start.min() > 0.85  # before, every mask tells both
    assert end.diagonal().min() > 0.95
    assert max(end[0, 1], end[1, 0]) < 0.7
    _, end = _trained_and_probed(decay=0.0)
    assert min(end[0, 1], end[1, 0]) > 0.75


def _trained_and_probed(decay: float) -> tuple[np.ndarray, np.ndarray]:
    """How often a fresh probe tells variation v from mask t, [T, V], before and after training."""
    torch.manual_seed(0)
    k, d, names = 4, 4, ("a", "b")
    masks = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1]]).bool()
    mixing = torch.randn(8, 24)

    def draw(count: int, seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        u = (torch.rand(count, 2, generator=generator) < 0.5).float()
        rest = torch.randn(count, 6, generator=generator)  # identity, say
        noise = 0.5 * torch.randn(count, 24, generator=generator)
        return torch.cat([4 * u - 2, rest], 1) @ mixing + noise, u

    def probe(network: nn.Module) -> np.ndarray:
        (x, u), (x_test, u_test) = draw(1500, 1), draw(1500, 2)
        with torch.no_grad():
            f, f_test = (
                F.normalize(network(part).unflatten(1, (k, d)), dim=2) for part in (x, x_test)
            )
        right = np.empty((2, 2))
        for t, mask in enumerate(masks):
            for v in range(2):
                model = LogisticRegression(max_iter=500).fit(f[:, mask].flatten(1), u[:, v])
                right[t, v] = model.score(f_test[:, mask].flatten(1), u_test[:, v])
        return right

    network = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, k * d))
    start = probe(network)
    classifier = VariationClassifier(2, k, d)
    body = torch.optim.Adam(network.parameters(), lr=0.001)
    own = torch.optim.Adam(classifier.parameters(), lr=0.03, weight_decay=decay)
    settings = ObjectiveSettings(decorrelate=names)
    for step in range(1200):
        x, u = draw(128, 100 + step)
        f = F.normalize(network(x).unflatten(1, (k, d)), dim=2)
        logits = masked_logits(f, masks, classifier.weight.detach(), classifier.bias.detach())
        loss = settings.classification * classification_loss(logits, u)
        loss = loss + settings.adversarial * adversarial_loss(logits)
        body.zero_grad()
        loss.backward()
        body.step()
        own.zero_grad()
        classifier_loss(masked_logits(f.detach(), masks, *classifier.parameters()), u).backward()
        own.step()
    return start, probe(network)
