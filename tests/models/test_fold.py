"""Folded BatchNorms change nothing but the time."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from small_model import SETTINGS, one_thread, pictures, small_model
from urface.embedder import Embedder
from urface.models.fold import folded
from urface.models.iresnet import iresnet
from urface.models.urface import URFace, add_uncertainty_head

__all__ = ["one_thread"]


def settled(model: nn.Module) -> None:
    """Statistics and weights of BatchNorms as far from 0 and 1 as training brings them."""
    generator = torch.Generator().manual_seed(0)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, low, high in (
                (norm.weight.data, 0.3, 1.5),
                (norm.bias.data, -0.5, 0.5),
                (norm.running_mean, -0.3, 0.3),
            ):
                assert values is not None
                values.uniform_(low, high, generator=generator)


def a_model() -> URFace:
    model = small_model()
    add_uncertainty_head(model)
    settled(model)
    return model.eval()


def images(count: int = 4) -> torch.Tensor:
    return torch.from_numpy(pictures(count)[:, 3:67, 3:67].copy())


@torch.inference_mode()
def test_a_folded_model_says_what_the_model_says_to_1e_5() -> None:
    model = a_model()
    plain, fast = model(images()), folded(model)(images())
    for one, other in zip(plain, fast, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)
    # The control: with one BatchNorm left out the harness sees it.
    broken = folded(model)
    broken.backbone.conv1.bias.data.add_(0.5)  # type: ignore[union-attr, operator]
    assert (broken(images()).mean - plain.mean).abs().max() > 1e-3


@pytest.mark.parametrize(
    "stem", ["tiny", "iresnet18"]
)  # a stride in the stem, and one in the first stage
@torch.inference_mode()
def test_every_kind_of_backbone_folds_exactly_in_float64(stem: str) -> None:
    torch.manual_seed(0)
    backbone = iresnet(stem, 32)
    settled(backbone)
    plain = URFace(backbone.eval().double(), nn.Identity(), nn.Identity(), 1)
    pixels = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    expected = plain.backbone(pixels)
    got = folded(plain).backbone(pixels)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max()))


def test_only_the_norms_before_a_padded_convolution_and_the_last_stay() -> None:
    model = a_model()
    left = [n for n, m in folded(model).backbone.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(name == "bn2" or name.endswith(".bn1") for name in left)


def test_the_model_itself_is_left_as_it_was_and_its_heads_are_shared() -> None:
    model = a_model()
    before = copy.deepcopy(model.state_dict())
    fast = folded(model)
    assert fast.embedding_head is model.embedding_head
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_embedder_runs_the_folded_network_in_float32_alone() -> None:
    model = a_model()
    exact = Embedder(model, SETTINGS, device="cpu", precision="fp32")
    assert exact._network is not exact.model
    assert Embedder(model, SETTINGS, device="cpu", precision="bf16")._network is model
