"""theta_A: the paper's kernels, any input size, a file that is read as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from urface.models.attribute_files import AttributeModel, load_attributes, save_attributes
from urface.models.attributes import AttributeNet, IdentityDiscriminator
from urface.types import UserError


@pytest.fixture
def network() -> AttributeNet:
    torch.manual_seed(0)
    return AttributeNet(("smiling", "male")).eval()


def test_the_four_layers_have_the_papers_kernels(network: AttributeNet) -> None:
    kernels = [m.weight.shape for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [tuple(k) for k in kernels] == [
        (64, 3, 3, 3), (128, 64, 3, 3), (256, 128, 3, 3), (512, 256, 3, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [32, 47, 64, 112])
def test_any_size_gives_512_features_and_a_logit_per_attribute(
    network: AttributeNet, size: int
) -> None:
    images = torch.randint(0, 256, (3, size, size, 3), dtype=torch.uint8)
    features, logits = network(images)
    assert (features.shape, logits.shape) == ((3, 512), (3, 2))
    assert features.dtype == logits.dtype == torch.float32
    assert torch.equal(network.head(features), logits)


def test_frozen_logits_are_the_discriminators() -> None:
    discriminator, features = IdentityDiscriminator(7), torch.randn(4, 512)
    assert torch.equal(discriminator.frozen(features), discriminator(features))


def test_a_model_is_read_as_it_was_written(tmp_path: Path, network: AttributeNet) -> None:
    save_attributes(tmp_path / "model.safetensors", AttributeModel(network, 70, 64, {"note": 1}))
    for path in (tmp_path, tmp_path / "model.safetensors"):
        found = load_attributes(path)
        assert found.network.names == ("smiling", "male")
        assert (found.frame_size, found.input_size, found.facts) == (70, 64, {"note": 1})
        images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
        assert torch.equal(found.network(images).logits, network(images).logits)


def test_other_and_damaged_files_are_refused_with_one_line(
    tmp_path: Path, network: AttributeNet
) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(UserError, match="no such file"):
        load_attributes(path)
    save_attributes(path, AttributeModel(network, 70, 64, {}))
    tensors = load_file(path)
    header = {"format": "urface-attributes-1", "attributes": ["one"], "frame_size": 70}
    save_file(tensors, path, metadata={"urface": json.dumps(header)})
    with pytest.raises(UserError, match="does not fit its weights"):
        load_attributes(path)
    save_file(tensors, path, metadata={"urface": json.dumps({"format": "urface-model-1"})})
    with pytest.raises(UserError, match=r"not an attribute model.*urface-model-1"):
        load_attributes(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="not a readable safetensors"):
        load_attributes(path)
