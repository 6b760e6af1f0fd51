"""The tiled loss against the plain form in float64: all margins, tiles, types, samples, filters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from urface.config import ObjectiveSettings
from urface.losses import arcface_logits, objective
from urface.losses.tiled import Shard, tiled_cross_entropy

Plain = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def draw(b: int, c: int, k: int, d: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unit means, confidences of 1 to 60, raw prototypes of any length, labels."""
    g = torch.Generator().manual_seed(seed)
    mean = F.normalize(torch.randn(b, k, d, generator=g, dtype=torch.float64), dim=2)
    confidence = 1 + 59 * torch.rand(b, k, generator=g, dtype=torch.float64)
    weight = torch.randn(c, k, d, generator=g, dtype=torch.float64) * 0.3
    return mean, confidence, weight, torch.randint(c, (b,), generator=g)


def plain(
    setting: ObjectiveSettings, mean: Tensor, confidence: Tensor, weight: Tensor, labels: Tensor
) -> Tensor:
    """L_idt with all logits at once, by autograd."""
    unit = F.normalize(weight, dim=2)
    logits = torch.einsum("bkd,bk,ckd->bc", mean, confidence, unit) / mean.shape[1]
    here = F.one_hot(labels, len(weight)).bool()
    if setting.noisy_cosine < 1:
        cosine = logits / confidence.mean(1, keepdim=True)
        logits = logits.masked_fill((cosine > setting.noisy_cosine) & ~here, -torch.inf)
    if setting.identification == "arcface":
        logits = arcface_logits(logits, labels, float(confidence[0, 0]), setting.margin)
    else:
        scale = float(confidence[0, 0]) if setting.identification == "cosface" else 1.0
        logits = logits - here * (scale * setting.margin)
    return F.cross_entropy(logits, labels)


SETTINGS = {
    "confidence": ObjectiveSettings("confidence", 9.0),
    "cosface": ObjectiveSettings("cosface", 0.35),
    "arcface": ObjectiveSettings("arcface", 0.5),
    "filtered": ObjectiveSettings("confidence", 3.0, noisy_cosine=0.2),
}


@pytest.mark.parametrize("name", SETTINGS)
# Fewer and more images than numbers a class, which is what the forward pass has for its memory.
@pytest.mark.parametrize(("b", "c", "k", "d"), [(4, 30, 1, 8), (11, 30, 1, 5), (3, 1, 1, 4)])
def test_value_and_gradients_are_those_of_the_plain_form(
    name: str, b: int, c: int, k: int, d: int
) -> None:
    setting = SETTINGS[name]
    if setting.identification == "confidence":
        k, d = 2 * k, d - 1
    mean, confidence, weight, labels = draw(b, c, k, d, seed=b)
    if setting.identification != "confidence":
        confidence = torch.full_like(confidence, 30.0)
    leaves = {}
    for form in ("plain", "tiled"):
        parts = [p.clone().requires_grad_() for p in (mean, confidence, weight)]
        f, s, w = parts
        s_used = s if setting.identification == "confidence" else s.detach()
        if form == "plain":
            loss = plain(setting, f, s_used, w, labels)
        else:
            loss = objective(setting, f, s_used, labels, w).named["L_idt"]
        (3 * loss).backward()
        leaves[form] = [loss, *(p.grad for p in parts)]
    for got, wanted in zip(leaves["tiled"], leaves["plain"], strict=True):
        if wanted is not None:
            torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    b=st.integers(1, 9),
    c=st.integers(1, 40),
    k=st.integers(1, 3),
    d=st.integers(1, 5),
    tile=st.integers(1, 41),
    seed=st.integers(0, 2**31),
)
def test_any_tile_gives_the_same(b: int, c: int, k: int, d: int, tile: int, seed: int) -> None:
    mean, confidence, weight, labels = draw(b, c, k, d, seed)
    scaled = mean * (confidence / k).unsqueeze(2)
    found = []
    for size in (tile, 1000):
        x, w = scaled.clone().requires_grad_(), weight.clone().requires_grad_()
        loss = tiled_cross_entropy(x, w, labels, lambda a: a - 3.0, tile=size)
        loss.backward()
        found.append((loss, x.grad, w.grad))
    wanted = plain(ObjectiveSettings("confidence", 3.0), mean, confidence, weight, labels)
    torch.testing.assert_close(found[0][0], wanted, rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-13)


def test_gradcheck_passes_at_every_stage_of_a_retained_graph() -> None:
    mean, confidence, weight, labels = draw(3, 7, 2, 4, seed=1)
    x = (mean * confidence.unsqueeze(2) / 8).requires_grad_()
    w = weight.requires_grad_()
    # A second pass backward multiplies the logits anew: equal but for the order of sums.
    assert torch.autograd.gradcheck(
        lambda x, w: tiled_cross_entropy(x, w, labels, lambda a: a - 1.0, tile=3),
        (x, w),
        nondet_tol=1e-12,
    )


def test_the_gradient_is_taken_over_and_not_copied() -> None:
    mean, _confidence, weight, labels = draw(3, 50, 1, 8, seed=2)
    w = weight.requires_grad_()
    loss = tiled_cross_entropy(mean, w, labels, lambda a: a)
    made = loss.grad_fn.grad.data_ptr()  # type: ignore[union-attr]
    loss.backward()
    assert w.grad is not None
    assert w.grad.data_ptr() == made


def test_the_result_cannot_be_differentiated_again() -> None:
    mean, _, weight, labels = draw(3, 5, 1, 4, seed=3)
    x = mean.requires_grad_()
    loss = tiled_cross_entropy(x, weight, labels, lambda a: a)
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.square().sum().backward()


def test_a_prototype_of_length_zero_gets_the_gradient_that_normalize_gives_it() -> None:
    mean, _, weight, labels = draw(3, 5, 2, 4, seed=4)
    weight[2], weight[3, 1] = 0.0, 1e-20
    found = []
    for form in (tiled_cross_entropy, None):
        w = weight.clone().requires_grad_()
        if form is None:
            logits = mean.flatten(1) @ F.normalize(w, dim=2).flatten(1).T
            F.cross_entropy(logits, labels).backward()
        else:
            form(mean, w, labels, lambda a: a).backward()
        found.append(w.grad)
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)


def test_bf16_prototypes_and_autocast_keep_float32_sums() -> None:
    mean, confidence, weight, labels = (part for part in draw(4, 60, 2, 8, seed=5))
    narrow = weight.bfloat16().requires_grad_()
    setting = SETTINGS["confidence"]
    with torch.autocast("cpu", torch.bfloat16):
        terms = objective(setting, mean.float(), confidence.float(), labels, narrow)
    terms.total.backward()
    w = narrow.detach().double().requires_grad_()
    wanted = plain(setting, mean, confidence, w, labels)
    wanted.backward()
    assert terms.total.dtype == torch.float32
    assert terms.named["L_idt"].item() == pytest.approx(wanted.item(), rel=1e-5)
    assert narrow.grad is not None
    assert w.grad is not None
    error = (narrow.grad.double() - w.grad).abs().max()
    assert error <= 2**-8 * w.grad.abs().max()


def test_sampled_rows_are_a_softmax_over_them_and_the_gradient_is_sparse() -> None:
    mean, _, weight, _ = draw(6, 40, 1, 4, seed=6)
    rows = torch.tensor([1, 5, 6, 17, 39])
    labels = torch.tensor([5, 39, 1, 5, 6, 17])
    x, w = mean.clone().requires_grad_(), weight.clone().requires_grad_()
    loss = tiled_cross_entropy(x, w, labels, lambda a: a - 0.3, shard=Shard(0, rows), tile=2)
    loss.backward()
    x2, w2 = mean.clone().requires_grad_(), weight.clone().requires_grad_()
    few = torch.searchsorted(rows, labels)
    wanted = tiled_cross_entropy(x2, w2[rows], few, lambda a: a - 0.3)
    wanted.backward()
    torch.testing.assert_close(loss, wanted)
    assert w.grad is not None
    assert w.grad.is_sparse
    torch.testing.assert_close(w.grad.to_dense(), w2.grad)
    torch.testing.assert_close(x.grad, x2.grad)


def test_all_rows_by_name_are_exactly_the_full_softmax() -> None:
    mean, confidence, weight, labels = draw(6, 40, 2, 4, seed=7)
    found = []
    for rows in (None, torch.arange(40)):
        w = weight.float().requires_grad_()
        terms = objective(
            SETTINGS["confidence"], mean.float(), confidence.float(), labels, w, rows=rows
        )
        terms.total.backward()
        assert w.grad is not None
        found.append((terms.total, w.grad.to_dense()))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_a_class_that_was_filtered_out_gets_no_gradient_and_the_own_one_never_is() -> None:
    mean = F.normalize(torch.tensor([[[1.0, 0.1]], [[0.0, 1.0]]]), dim=2)
    weight = torch.tensor([[[1.0, 0.0]], [[0.9, 0.3]], [[-1.0, 0.0]]], requires_grad=True)
    confidence = torch.full((2, 1), 10.0)
    setting = ObjectiveSettings("confidence", 1.0, noisy_cosine=0.5)
    one = objective(setting, mean[:1], confidence[:1], torch.tensor([0]), weight)
    one.named["L_idt"].backward()
    assert weight.grad is not None
    assert weight.grad[1].abs().max() == 0.0
    assert weight.grad[0].abs().max() > 0.0  # cosine 0.995 with its own
    whole = ObjectiveSettings("confidence", 1.0)
    control = objective(whole, mean[:1], confidence[:1], torch.tensor([0]), weight)
    assert control.named["L_idt"] > 2 * one.named["L_idt"]


@pytest.mark.parametrize("margin", [1.0, 34.0, 40.0, 800.0])
@pytest.mark.parametrize("filtered", [False, True])
def test_an_image_without_another_class_has_no_loss_and_no_gradient(
    margin: float, filtered: bool
) -> None:
    mean = F.normalize(torch.tensor([[[1.0, 0.1]]]), dim=2).requires_grad_()
    near = [[[1.0, 0.0]], [[0.9, 0.3]]]  # the second is left out where it is filtered
    weight = torch.tensor(near if filtered else near[:1], requires_grad=True)
    setting = ObjectiveSettings("confidence", margin, noisy_cosine=0.4 if filtered else 1.0)
    terms = objective(setting, mean, torch.full((1, 1), 1.5), torch.tensor([0]), weight)
    terms.named["L_idt"].backward()
    assert float(terms.named["L_idt"].detach()) == 0.0
    assert mean.grad is not None
    assert weight.grad is not None
    assert not mean.grad.any()
    assert not weight.grad.any()


def test_a_backward_pass_within_autocast_multiplies_in_float32() -> None:
    """With more images than K * D, whose logits are multiplied again."""
    found = []
    for inside in (False, True):
        mean, confidence, weight, labels = draw(40, 7, 1, 8, seed=3)
        m, w = mean.float().requires_grad_(), weight.float().requires_grad_()
        terms = objective(SETTINGS["confidence"], m, confidence.float(), labels, w)
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            terms.named["L_idt"].backward()
        assert m.grad is not None
        found.append(m.grad)
    assert torch.equal(*found)


@pytest.mark.parametrize("bad", [-1, 5])
def test_a_label_of_no_class_is_refused_by_name(bad: int) -> None:
    mean, _, weight, _ = draw(2, 5, 1, 4, seed=8)
    with pytest.raises(ValueError, match=f"label {bad} is not one"):
        tiled_cross_entropy(mean, weight, torch.tensor([0, bad]), lambda a: a)
    with pytest.raises(ValueError, match="int64"):
        tiled_cross_entropy(mean, weight, torch.tensor([0, 1], dtype=torch.int32), lambda a: a)


@pytest.mark.parametrize("name", ["confidence", "cosface", "arcface"])
def test_the_loss_rises_with_the_angle_to_the_own_prototype(name: str) -> None:
    """In a plane that no other prototype lies near, so that only the own logit moves."""
    setting = SETTINGS[name]
    theta = torch.linspace(0, math.pi, 721, dtype=torch.float64)
    weight = torch.eye(4, dtype=torch.float64)[:, None][[0, 2, 3]]
    mean = torch.stack([theta.cos(), theta.sin(), 0 * theta, 0 * theta], 1)[:, None]
    losses = [
        objective(setting, f[None], torch.full((1, 1), 30.0).double(), torch.tensor([0]), weight)
        .named["L_idt"]
        .item()
        for f in mean
    ]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(losses))
