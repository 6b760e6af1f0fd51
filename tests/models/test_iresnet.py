"""The trunk: sizes, names, numbers of parameters, and values against the network's definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from plain_networks import BLOCKS, plain_forward, relative, seeded_state
from urface.models.insightface import InsightFaceIResNet, depth_of, from_insightface
from urface.models.iresnet import DEPTHS, IResNet, iresnet
from urface.types import UserError

BN = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


def expected_names(blocks: list[int]) -> list[str]:
    """Every key of an InsightFace file, by the rule of its format."""
    names = ["conv1.weight", *(f"bn1.{part}" for part in BN), "prelu.weight"]
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            prefix = f"layer{stage}.{block}"
            names += [f"{prefix}.bn1.{part}" for part in BN]
            names.append(f"{prefix}.conv1.weight")
            names += [f"{prefix}.bn2.{part}" for part in BN]
            names += [f"{prefix}.prelu.weight", f"{prefix}.conv2.weight"]
            names += [f"{prefix}.bn3.{part}" for part in BN]
            if block == 0:
                names.append(f"{prefix}.downsample.0.weight")
                names += [f"{prefix}.downsample.1.{part}" for part in BN]
    names += [f"bn2.{part}" for part in BN]
    return [*names, "fc.weight", "fc.bias", *(f"features.{part}" for part in BN)]


def parameter_count(blocks: list[int], size: int = 112, dim: int = 512) -> int:
    """Counted from the definition: kernels, slopes, and two numbers a channel for each BN."""
    widths = [64, 64, 128, 256, 512]
    total = 3 * 64 * 9 + 2 * 64 + 64
    for stage, count in enumerate(blocks):
        before, after = widths[stage], widths[stage + 1]
        for block in range(count):
            into = before if block == 0 else after
            total += 2 * into + into * after * 9 + 2 * after + after + after * after * 9 + 2 * after
            if block == 0:
                total += into * after + 2 * after
        size = (size + 1) // 2
    return total + 2 * 512 + 512 * size * size * dim + dim + 2 * dim


@pytest.mark.parametrize("name", list(BLOCKS))
def test_keys_are_insightfaces_in_their_order(name: str) -> None:
    with torch.device("meta"):
        network = InsightFaceIResNet(name)
    assert list(network.state_dict()) == expected_names(BLOCKS[name])


@pytest.mark.parametrize(
    ("name", "millions"), [("iresnet18", 24.03), ("iresnet50", 43.59), ("iresnet100", 65.16)]
)
def test_numbers_of_parameters_are_the_published_ones(name: str, millions: float) -> None:
    with torch.device("meta"):
        network = InsightFaceIResNet(name)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == parameter_count(BLOCKS[name])
    assert count / 1e6 == pytest.approx(millions, abs=0.01)
    assert network.fc.weight.shape == (512, 25088)


@pytest.mark.parametrize(
    "size", [32, 33, 48, 64, 65, 79, 80, 81, 96, 97, 100, 110, 112, 113, 127, 128]
)
def test_any_size_in_range_leaves_a_map_of_the_stated_size(size: int) -> None:
    network = iresnet("small", size).eval()
    side = size
    for _ in range(4):
        side = (side - 1) // 2 + 1  # kernel 3, padding 1, stride 2
    with torch.no_grad():
        out = network(torch.zeros(1, 3, size, size))
    assert out.shape == (1, network.out_features) == (1, 128 * side * side)


@pytest.mark.parametrize("size", [0, 31, 129, 224])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 to 128"):
        iresnet("small", size)


@pytest.mark.parametrize(("name", "size"), [("iresnet18", 112), ("iresnet18", 65)])
def test_values_are_those_of_the_definition_bare_and_inside_a_urface(name: str, size: int) -> None:
    network = InsightFaceIResNet(name, size, dim=128).eval()
    state = seeded_state(network)
    network.load_state_dict(state)
    generator = torch.Generator().manual_seed(8)
    images = torch.randint(0, 256, (2, size, size, 3), generator=generator, dtype=torch.uint8)
    pixels = (images.permute(0, 3, 1, 2).double() / 255 - 0.5) / 0.5
    expected = plain_forward(state, BLOCKS[name], pixels)
    model = from_insightface({f"module.{key}": value for key, value in state.items()}, size)
    with torch.no_grad():
        assert relative(network(pixels.float()), expected) < 1e-5
        assert relative(model.embedding(model.trunk(images)), expected) < 1e-5
        mean = model(images).mean
        last = model.to(memory_format=torch.channels_last)
        assert relative(last.embedding(last.trunk(images)), expected) < 1e-5
    assert mean.shape == (2, 1, 128)
    assert relative(mean[:, 0], expected / expected.norm(dim=1, keepdim=True)) < 1e-5


def test_depth_is_told_by_the_blocks() -> None:
    for name in BLOCKS:
        with torch.device("meta"):
            assert depth_of(InsightFaceIResNet(name).state_dict()) == name


def small_state() -> dict[str, Tensor]:
    return seeded_state(InsightFaceIResNet("iresnet18", 64, dim=16))


def test_files_that_are_no_iresnet_are_refused() -> None:
    good = small_state()
    with pytest.raises(UserError, match=r"layer3\.1\.bn2\.weight"):
        from_insightface({k: v for k, v in good.items() if k != "layer3.1.bn2.weight"}, 64)
    with pytest.raises(UserError, match="extra"):
        from_insightface({**good, "extra": torch.zeros(1)}, 64)
    with pytest.raises(UserError, match="112 x 112"):
        from_insightface(good, 112)  # its fc is for 64
    with pytest.raises(UserError, match="blocks"):
        from_insightface({k: v for k, v in good.items() if not k.startswith("layer3.1")}, 64)
    for key in ("conv1.weight", "fc.weight"):
        with pytest.raises(UserError, match="not an InsightFace iresnet"):
            from_insightface({k: v for k, v in good.items() if k != key}, 64)
    with pytest.raises(UserError, match="not an InsightFace iresnet"):
        from_insightface({}, 64)


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    network = IResNet(DEPTHS["small"], (4, 4, 4, 4), 64, dropout=0.5)
    x = torch.randn(2, 3, 64, 64)
    assert (network.train()(x) == 0).float().mean() > 0.3
    network.eval()
    assert torch.equal(network(x), network(x))
    assert (network(x) == 0).float().mean() < 0.01
