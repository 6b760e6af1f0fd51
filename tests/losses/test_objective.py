"""The objective: its named terms, their sum, and the three identification losses."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from losses.loops import logits_loop, losses_loop, mean_of, uniform, unit
from urface.config import ObjectiveSettings
from urface.losses import confidence_regularizer, objective

LABELS = [2, 0, 4]


@pytest.mark.parametrize("k", [1, 4])
def test_terms_are_named_unweighted_and_add_up_to_the_total(k: int) -> None:
    f, w, s = unit(3, k, 5, seed=0), unit(6, k, 5, seed=1), uniform(3, k, low=1, high=90, seed=2)
    settings = ObjectiveSettings("confidence", margin=9.0, regularizer=0.03)
    terms = objective(settings, f, s, torch.tensor(LABELS), w)
    assert set(terms.named) == {"L_idt", "L_reg"}
    idt = mean_of(losses_loop(logits_loop(f, s, w), LABELS, 9.0))
    reg = mean_of([mean_of([value**2 for value in row]) for row in s.tolist()])
    assert terms.named["L_idt"].item() == pytest.approx(idt, rel=1e-12)
    assert terms.named["L_reg"].item() == pytest.approx(reg, rel=1e-12)
    assert terms.total.item() == pytest.approx(idt + 0.03 * reg, rel=1e-12)


def test_regulariser_gradient_is_two_s_over_b_and_k() -> None:
    s = uniform(3, 4, low=1, high=9, seed=3).requires_grad_(True)
    confidence_regularizer(s).backward()
    assert s.grad is not None
    for i in range(3):
        for k in range(4):
            assert s.grad[i, k].item() == pytest.approx(2 * s[i, k].item() / 12, rel=1e-14)


def test_regulariser_runs_over_this_ranks_own_images_when_they_are_given() -> None:
    f, w, s = unit(3, 2, 5, seed=4), unit(6, 2, 5, seed=5), uniform(3, 2, low=1, high=9, seed=6)
    settings = ObjectiveSettings("confidence", margin=1.0)
    terms = objective(settings, f, s, torch.tensor(LABELS), w, own_confidence_BK=s[:1])
    assert terms.named["L_reg"].item() == pytest.approx(mean_of([v**2 for v in s[0].tolist()]))


def test_cosface_takes_its_margin_on_the_cosine() -> None:
    f, w = unit(3, 1, 5, seed=7), unit(6, 1, 5, seed=8)
    s = torch.full((3, 1), 30.0).double()
    terms = objective(ObjectiveSettings("cosface", 0.35), f, s, torch.tensor(LABELS), w)
    logits = logits_loop(f, s, w)
    for row, y in zip(logits, LABELS, strict=True):
        row[y] = 30.0 * (row[y] / 30.0 - 0.35)
    assert set(terms.named) == {"L_idt"}
    assert terms.total.item() == pytest.approx(mean_of(losses_loop(logits, LABELS, 0.0)), rel=1e-12)


def test_cosface_is_the_confidence_loss_with_a_constant_confidence() -> None:
    f, w = unit(3, 1, 5, seed=7), unit(6, 1, 5, seed=8)
    s = torch.full((3, 1), 30.0).double()
    labels = torch.tensor(LABELS)
    a = objective(ObjectiveSettings("cosface", 0.35), f, s, labels, w).total
    b = objective(ObjectiveSettings("confidence", 10.5, regularizer=0.0), f, s, labels, w).total
    torch.testing.assert_close(a, b, rtol=1e-14, atol=0)


def test_arcface_takes_its_margin_on_the_angle() -> None:
    f, w = unit(3, 1, 5, seed=9), unit(6, 1, 5, seed=10)
    s = torch.full((3, 1), 64.0).double()
    terms = objective(ObjectiveSettings("arcface", 0.5), f, s, torch.tensor(LABELS), w)
    logits = logits_loop(f, s, w)
    for row, y in zip(logits, LABELS, strict=True):
        theta = math.acos(row[y] / 64.0)
        assert theta < math.pi - 0.5  # else another branch
        row[y] = 64.0 * math.cos(theta + 0.5)
    assert terms.total.item() == pytest.approx(mean_of(losses_loop(logits, LABELS, 0.0)), rel=1e-11)


def test_gradients_reach_embeddings_prototypes_and_confidence() -> None:
    f, w, s = unit(3, 2, 5, seed=11), unit(6, 2, 5, seed=12), uniform(3, 2, low=1, high=9, seed=13)
    leaves = [leaf.requires_grad_(True) for leaf in (f, s, w)]
    settings = ObjectiveSettings("confidence", margin=2.0, regularizer=0.1)
    labels = torch.tensor(LABELS)
    assert torch.autograd.gradcheck(
        lambda f, s, w: objective(settings, f, s, labels, w).total, tuple(leaves), nondet_tol=1e-12
    )


def test_float32_objective_is_close_to_float64_at_the_paper_s_settings() -> None:
    f, w = unit(8, 16, 32, seed=14), unit(500, 16, 32, seed=15)
    labels = torch.arange(8)
    f[0] = w[0]  # one image on its prototype, one opposite to it
    f[1] = -w[1]
    s = uniform(8, 16, low=1, high=128, seed=16)
    settings = ObjectiveSettings("confidence", margin=30.0)
    single = [part.float() for part in (f, s, w)]
    terms = objective(settings, single[0], single[1], labels, single[2])
    moved = torch.einsum("ikd,ik,jkd->ij", *(part.double() for part in single)) / 16
    moved[range(8), labels] -= 30.0
    assert terms.named["L_idt"].item() == pytest.approx(
        F.cross_entropy(moved, labels).item(), rel=1e-5
    )
