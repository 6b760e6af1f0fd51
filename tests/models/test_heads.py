"""The branches: where confidences start, the constant one, and the gradient of the bound."""

from __future__ import annotations

import math

import pytest
import torch

from urface.models.heads import ConfidenceHead, ConstantConfidence, EmbeddingHead, bounded


@pytest.mark.parametrize("initial", [1.5, 30.0, 64.0])
def test_confidence_starts_at_its_initial_value_for_every_image(initial: float) -> None:
    torch.manual_seed(0)
    head = ConfidenceHead(2048, 16, initial, (1.0, 128.0))
    confidence = head(
        torch.randn(200, 2048)
    ).exp()  # features of unit variance, as after a BatchNorm
    assert confidence.shape == (200, 16)
    assert confidence.log().mean().item() == pytest.approx(math.log(initial), abs=0.01)
    assert confidence.log().std().item() == pytest.approx(0.05, rel=0.15)


def test_confidence_stays_in_its_range_for_any_features() -> None:
    head = ConfidenceHead(8, 4, 64.0, (2.0, 100.0))
    confidence = head(1e6 * torch.randn(50, 8)).exp()
    assert confidence.min().item() >= 2.0 * (1 - 1e-6)
    assert confidence.max().item() <= 100.0 * (1 + 1e-6)


def test_constant_confidence_is_the_same_everywhere_and_has_no_parameter() -> None:
    head = ConstantConfidence(3, 64.0)
    assert list(head.parameters()) == []
    out = head(torch.randn(5, 7)).exp()
    torch.testing.assert_close(out, torch.full((5, 3), 64.0))


@pytest.mark.parametrize(
    ("x", "grad", "expected"),
    [
        (0.5, 1.0, 1.0),  # inside: as it is
        (0.5, -1.0, -1.0),
        (2.0, 1.0, 1.0),  # above: a positive gradient steps down, back inside
        (2.0, -1.0, 0.0),
        (-2.0, -1.0, -1.0),  # below: a negative gradient steps up
        (-2.0, 1.0, 0.0),
        (1.0, -1.0, -1.0),  # on the bound counts as inside
        (-1.0, 1.0, 1.0),
    ],
)
def test_bound_passes_only_gradients_that_lead_back(x: float, grad: float, expected: float) -> None:
    leaf = torch.tensor([x], requires_grad=True)
    out = bounded(leaf, -1.0, 1.0)
    assert out.item() == min(max(x, -1.0), 1.0)
    out.backward(torch.tensor([grad]))
    assert leaf.grad is not None
    assert leaf.grad.item() == expected


def test_a_value_outside_the_bound_comes_back_and_under_a_clamp_does_not() -> None:
    for bound, returns in ((bounded, True), (torch.clamp, False)):
        leaf = torch.tensor([3.0], requires_grad=True)
        for _ in range(30):
            leaf.grad = None
            bound(leaf, -1.0, 1.0).square().sum().backward()
            assert leaf.grad is not None
            leaf.data -= 0.1 * leaf.grad
        assert (leaf.item() < 1.0) is returns


def test_embedding_head_has_insightface_names_and_a_fixed_scale() -> None:
    head = EmbeddingHead(10, 6)
    assert set(head.state_dict()) == {
        "fc.weight", "fc.bias", "features.weight", "features.bias", "features.running_mean",
        "features.running_var", "features.num_batches_tracked",
    }  # fmt: skip
    assert not head.features.weight.requires_grad
    assert torch.equal(head.features.weight, torch.ones(6))


def test_heads_answer_in_float32_under_autocast() -> None:
    x = torch.randn(4, 10)
    with torch.autocast("cpu", torch.bfloat16):
        assert EmbeddingHead(10, 6)(x).dtype == torch.float32
        assert ConfidenceHead(10, 6)(x.bfloat16()).dtype == torch.float32
