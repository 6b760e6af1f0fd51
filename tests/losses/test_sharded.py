"""Cross-entropy over sharded classes: accuracy in float32, extremes, and ranks."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from apart import apart
from losses.loops import losses_loop, mean_of, probabilities_loop
from training.forked import together
from urface import distributed
from urface.config import ObjectiveSettings
from urface.losses import objective, sharded_cross_entropy


def random_logits(b: int, c: int, scale: float, seed: int) -> Tensor:
    """float32 logits s cos; the first image's target is at cos = 1, the second's at -1."""
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.rand(b, c, generator=generator) * 2 - 1) * scale
    logits[0, 0], logits[1, 1 % c] = scale, -scale
    return logits


@pytest.mark.parametrize("margin", [0.0, 0.4, 9.0, 30.0])
@pytest.mark.parametrize(("classes", "scale"), [(2, 1e-3), (10, 64.0), (1000, 128.0), (1000, 5.0)])
def test_float32_keeps_value_to_1e5_and_gradient_to_1e4(
    classes: int, scale: float, margin: float
) -> None:
    check_float32(classes, scale, margin, images=4)


@pytest.mark.parametrize(("scale", "margin"), [(64.0, 30.0), (20.0, 0.0)])
def test_float32_keeps_value_and_gradient_with_100_000_classes(scale: float, margin: float) -> None:
    check_float32(100_000, scale, margin, images=2)


def check_float32(classes: int, scale: float, margin: float, images: int) -> None:
    logits = random_logits(images, classes, scale, seed=classes)
    labels = [0, 1 % classes, classes - 1, classes // 2][:images]
    for i in range(images):
        # One image at a time: in a mean over the batch a large loss would hide a small one's error.
        row, y = logits[i : i + 1].clone().requires_grad_(True), labels[i : i + 1]
        loss = sharded_cross_entropy(row, torch.tensor(y), margin=margin)
        loss.backward()
        exact = row.detach().double().tolist()
        assert loss.item() == pytest.approx(losses_loop(exact, y, margin)[0], rel=1e-5, abs=1e-37)
        expected = torch.tensor(probabilities_loop(exact, y, margin), dtype=torch.float64)
        rest = math.fsum(p for j, p in enumerate(expected[0].tolist()) if j != y[0])
        expected[0, y[0]] = -rest  # p - 1, without its cancellation
        assert row.grad is not None
        torch.testing.assert_close(row.grad.double(), expected, rtol=1e-4, atol=1e-37)


def test_a_loss_far_below_the_rounding_of_one_is_not_zero() -> None:
    """-log p with p = 1 - 2e-11: log-sum-exp less the target gives 0 in float32 and no gradient."""
    logits = torch.tensor([[64.0, 39.0, 38.0]], requires_grad=True)
    loss = sharded_cross_entropy(logits, torch.tensor([0]))
    loss.backward()
    expected = math.exp(-25.0) + math.exp(-26.0)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx(
        [-expected, math.exp(-25.0), math.exp(-26.0)], rel=1e-6
    )
    control = F.cross_entropy(logits.detach(), torch.tensor([0]))
    assert control.item() == 0.0  # the usual form does lose it


def test_logits_of_ten_thousand_stay_finite_and_right() -> None:
    logits = torch.tensor(
        [[1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], requires_grad=True
    )
    loss = sharded_cross_entropy(logits, torch.tensor([1, 0, 2]), margin=30.0)
    loss.backward()
    exact = losses_loop(logits.detach().tolist(), [1, 0, 2], 30.0)
    assert exact[:2] == [20030.0, 0.0]
    assert loss.item() == pytest.approx(mean_of(exact), rel=1e-6)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_one_class_has_no_loss_and_no_gradient() -> None:
    logits = torch.tensor([[5.0], [-3.0]], requires_grad=True)
    loss = sharded_cross_entropy(logits, torch.tensor([0, 0]), margin=30.0)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0.0


def test_equal_logits_give_log_c() -> None:
    assert sharded_cross_entropy(torch.full((3, 7), 2.5), torch.tensor([0, 3, 6])).item() == (
        pytest.approx(math.log(7))
    )


@settings(max_examples=150, deadline=None)
@given(
    b=st.integers(1, 5),
    c=st.integers(1, 40),
    scale=st.floats(1e-3, 1e4),
    margin=st.floats(0, 30),
    seed=st.integers(0, 2**31),
    saturated=st.booleans(),
)
def test_random_logits_never_give_nan_or_infinity(
    b: int, c: int, scale: float, margin: float, seed: int, saturated: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    cosines = torch.rand(b, c, generator=generator) * 2 - 1
    if saturated:
        cosines = cosines.sign()
    logits = (cosines * scale).requires_grad_(True)
    labels = torch.randint(c, (b,), generator=generator)
    loss = sharded_cross_entropy(logits, labels, margin=margin)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    expected = mean_of(losses_loop(logits.detach().double().tolist(), labels.tolist(), margin))
    # Beyond the confidences in use, what float32 cannot tell apart is the logit less its margin.
    slack = 1e-37 if scale <= 64 else float(np.spacing(np.float32(scale + margin)))
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=slack)


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits = random_logits(4, 500, 20.0, seed=3).bfloat16().requires_grad_(True)
    loss = sharded_cross_entropy(logits, torch.tensor([0, 1, 2, 3]))
    loss.backward()
    assert loss.dtype == torch.float32
    assert logits.grad is not None
    assert logits.grad.dtype == torch.bfloat16
    expected = mean_of(losses_loop(logits.detach().double().tolist(), [0, 1, 2, 3], 0.0))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_gradcheck_passes_and_the_incoming_gradient_scales() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([4, 0, 2])
    assert torch.autograd.gradcheck(
        lambda x: 3.0 * sharded_cross_entropy(x, labels, margin=0.7).square(), (logits,)
    )


def test_logits_of_the_caller_are_left_as_they_were() -> None:
    logits = torch.randn(3, 5)
    before = logits.clone()
    sharded_cross_entropy(logits, torch.tensor([0, 1, 2]), margin=2.0)
    assert torch.equal(logits, before)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.tensor([0, 5]), "label 5"),
        (torch.tensor([-1, 0]), "label -1"),
        (torch.tensor([0, 1], dtype=torch.int32), "int64"),
        (torch.tensor([0.0, 1.0]), "int64"),
        (torch.tensor([0, 1, 2]), r"\[2\]"),
        (torch.tensor([[0, 1]]), r"\[2\]"),
    ],
)
def test_bad_labels_are_refused(labels: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sharded_cross_entropy(torch.zeros(2, 5), labels)


# Ranks. Every rank holds some images, all of a small shared layer (data parallel: the mean of the
# ranks' gradients) and its own classes.
PER_RANK, FEATURES, K, D = 3, 6, 2, 4
SETTINGS = ObjectiveSettings(margin=4.0, regularizer=0.01)


def problem(classes: int, images: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(classes)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        "x": draw(images, FEATURES),
        "layer": draw(FEATURES, K * D),
        "confidence": 0.3 * draw(FEATURES, K),
        "weight": draw(classes, K, D),
        "labels": torch.randint(classes, (images,), generator=generator),
    }


def step(parts: dict[str, Tensor], images: slice, classes: slice) -> dict[str, np.ndarray]:
    """One forward and backward on this rank's images and classes, as training does it."""
    layer, branch, weight = (
        parts[name].clone().requires_grad_(True) for name in ("layer", "confidence", "weight")
    )
    x = parts["x"][images]
    mean = F.normalize((x @ layer).unflatten(1, (K, D)), dim=2)
    confidence = (2.0 + x @ branch).exp()
    terms = objective(
        SETTINGS,
        distributed.gather(mean),
        distributed.gather(confidence),
        distributed.gather(parts["labels"][images]),
        F.normalize(weight[classes], dim=2),
        first_class=classes.start,
        own_confidence_BK=confidence,
    )
    terms.total.backward()
    world = distributed.world_size()
    assert layer.grad is not None
    assert branch.grad is not None
    assert weight.grad is not None
    regularizer = terms.named["L_reg"].detach().clone()
    return {
        "loss": terms.named["L_idt"].detach().numpy(),
        "regularizer": (distributed.all_reduce_sum(regularizer) / world).numpy(),
        "layer": (distributed.all_reduce_sum(layer.grad) / world).numpy(),
        "confidence": (distributed.all_reduce_sum(branch.grad) / world).numpy(),
        "weight": weight.grad[classes].numpy(),
    }


def on_rank(world: int, classes: list[int], folder: str, rank: int) -> str:
    """Saves what each number of classes gives; what a bad label is refused with."""
    for count in classes:
        shard = distributed.shard_of(count, rank, world)
        own = slice(rank * PER_RANK, (rank + 1) * PER_RANK)
        result = step(problem(count, world * PER_RANK), own, slice(shard.start, shard.stop))
        np.savez(f"{folder}/{count}-{rank}.npz", **result)
    # A bad label must be refused on every rank: one that went on would wait for ever.
    shard = distributed.shard_of(3, rank, world)
    with pytest.raises(ValueError) as refused:
        sharded_cross_entropy(
            torch.zeros(2, len(shard)), torch.tensor([0, 3]), first_class=shard.start
        )
    return str(refused.value)


def all_ranks(world: int, classes: list[int], folder: str) -> list[str]:
    return together(world, Path(folder), partial(on_rank, world, classes, folder))


@pytest.mark.parametrize(("world", "classes"), [(2, [11, 1]), (4, [10, 3])])
def test_ranks_match_one_rank_with_uneven_and_empty_shards(
    world: int, classes: list[int], tmp_path: Path
) -> None:
    refused = apart(all_ranks, world, classes, str(tmp_path))
    for count in classes:
        parts = problem(count, world * PER_RANK)
        one = step(parts, slice(0, world * PER_RANK), slice(0, count))
        ranks = [dict(np.load(tmp_path / f"{count}-{rank}.npz")) for rank in range(world)]
        for got in ranks:
            for name in ("loss", "regularizer", "layer", "confidence"):
                np.testing.assert_allclose(got[name], one[name], rtol=1e-6, atol=1e-6, err_msg=name)
        joined = np.concatenate([got["weight"] for got in ranks])
        np.testing.assert_allclose(joined, one["weight"], rtol=1e-6, atol=1e-6)
        assert_step_equals_loop(parts, one)
    assert all("label 3" in said for said in refused)


def assert_step_equals_loop(parts: dict[str, Tensor], one: dict[str, np.ndarray]) -> None:
    """One rank itself, against explicit sums in float64 and autograd through them."""
    leaves = {
        name: parts[name].double().requires_grad_(True)
        for name in ("layer", "confidence", "weight")
    }
    total, regularizer = torch.zeros(()).double(), torch.zeros(()).double()
    images = len(parts["x"])
    for x, y in zip(parts["x"].double(), parts["labels"].tolist(), strict=True):
        raw, log_s = x @ leaves["layer"], 2.0 + x @ leaves["confidence"]
        logits = []
        for j, w in enumerate(leaves["weight"]):
            a = torch.zeros(()).double()
            for k in range(K):
                f = raw[k * D : (k + 1) * D]
                a = a + log_s[k].exp() * (f / f.norm()) @ (w[k] / w[k].norm()) / K
            logits.append(a - SETTINGS.margin if j == y else a)
        total = total + (torch.stack(logits).logsumexp(0) - logits[y]) / images
        for k in range(K):
            regularizer = regularizer + log_s[k].exp() ** 2 / K / images
    (total + SETTINGS.regularizer * regularizer).backward()
    np.testing.assert_allclose(one["loss"], total.item(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one["regularizer"], regularizer.item(), rtol=1e-5)
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        scale = float(leaf.grad.abs().max())
        np.testing.assert_allclose(one[name], leaf.grad.numpy(), rtol=1e-4, atol=1e-5 * scale)
