"""Weights of an InsightFace iresnet become a urface model that embeds as the plain network does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import urface
from urface.cli import main
from urface.models.insightface import InsightFaceIResNet
from urface.recognisers.import_weights import import_weights
from urface.types import UserError


def pictures() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (3, 7, 7, 3)).astype(np.uint8)
    return np.repeat(np.repeat(coarse, 16, 1), 16, 2)


@pytest.fixture(scope="module")
def network() -> InsightFaceIResNet:
    torch.manual_seed(0)
    network = InsightFaceIResNet("iresnet18", 112)
    pixels = torch.from_numpy(pictures()).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    with torch.no_grad():
        network(pixels)  # statistics that are not those of an untrained network
    return network.eval()


@pytest.fixture(scope="module")
def weights(network: InsightFaceIResNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("insightface") / "backbone.safetensors"
    save_file({f"module.{name}": value for name, value in network.state_dict().items()}, path)
    return path


def test_the_imported_model_embeds_as_the_plain_network(
    network: InsightFaceIResNet,
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [
        "import-weights",
        str(weights),
        "--architecture",
        "iresnet18",
        "-o",
        str(tmp_path / "m"),
    ]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'm' / 'model.safetensors'}\n"
    embedder = urface.load(tmp_path / "m", device="cpu", precision="fp32")
    faces = embedder.embed(pictures())
    pixels = torch.from_numpy(pictures()).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        plain = torch.nn.functional.normalize(network(((pixels / 255) - 0.5) / 0.5))
    assert faces.mean.shape == (3, 1, 512)
    np.testing.assert_allclose(faces.mean[:, 0], plain.numpy(), rtol=0, atol=2e-6)
    assert np.abs(faces.mean[0] - faces.mean[1]).max() > 0.01  # it does tell the faces apart
    np.testing.assert_allclose(faces.confidence, 64.0, rtol=1e-5)
    assert embedder.facts["imported"]["file"] == "backbone.safetensors"
    assert embedder.settings.backbone == "iresnet18"


def test_what_is_no_such_file_is_refused_in_one_line(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    pickled, damaged = tmp_path / "backbone.pth", tmp_path / "damaged.safetensors"
    pickled.write_bytes(b"\x80\x02")
    damaged.write_bytes(weights.read_bytes()[:1000])
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    for path, backbone, size, words in (
        (tmp_path / "none.safetensors", None, 112, "no such file"),
        (pickled, None, 112, r"backbone\.pth: it holds no readable weights"),
        (damaged, None, 112, "not a readable safetensors file"),
        (other, None, 112, r"other\.safetensors: no architecture that we know"),
        (weights, "iresnet50", 112, "are of iresnet18, not iresnet50"),
        (weights, None, 64, "does not fit an iresnet at 64 x 64"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            import_weights(path, out, architecture=backbone or "", size=size, cache=tmp_path / "c")
        assert "\n" not in str(caught.value)
    assert not out.exists()
