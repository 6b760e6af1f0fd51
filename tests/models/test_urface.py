"""The whole model: pixels, parts, shapes; prototypes; files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from urface import distributed
from urface.config import ModelSettings, ObjectiveSettings
from urface.models.files import add_facts, load_model, save_model
from urface.models.heads import ConfidenceHead
from urface.models.prototypes import BLOCK, Prototypes
from urface.models.urface import URFace, add_uncertainty_head, build_urface
from urface.types import UserError

SETTINGS = ModelSettings("small", input_size=64, embedding_dim=32, sub_embeddings=4)


class Pixels(nn.Module):
    """A backbone that returns what it was given."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def images(count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 64, 64, 3), generator=generator, dtype=torch.uint8)


def test_black_is_minus_one_white_is_one_and_channels_stay_rgb() -> None:
    model = URFace(Pixels(), nn.Identity(), nn.Identity(), 1)
    image = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    image[0, 0, 1] = torch.tensor([255, 128, 0])
    got = model.trunk(image).view(3, 2, 2)
    assert got[:, 0, 0].tolist() == [-1.0, -1.0, -1.0]
    assert got[:, 0, 1].tolist() == pytest.approx([1.0, (128 / 255 - 0.5) / 0.5, -1.0], abs=1e-7)
    assert got[:, 1, 0].tolist() == [-1.0, -1.0, -1.0]  # rows are rows


def test_features_have_the_stated_shapes_and_unit_length() -> None:
    torch.manual_seed(0)
    model = build_urface(SETTINGS, ObjectiveSettings(margin=9.0)).eval()
    with torch.no_grad():
        mean, log_confidence, log_variance = model(images())
    assert mean.shape == (3, 4, 8)
    torch.testing.assert_close(mean.norm(dim=2), torch.ones(3, 4))
    assert log_confidence.shape == (3, 4)
    torch.testing.assert_close(log_variance, -log_confidence)  # s = 1 / sigma^2


def test_sub_embeddings_are_consecutive_stretches_of_the_embedding() -> None:
    torch.manual_seed(0)
    model = build_urface(SETTINGS, ObjectiveSettings(margin=9.0)).eval()
    with torch.no_grad():
        values = model.embedding(model.trunk(images()))
        mean = model(images()).mean
    for k in range(4):
        part = values[:, 8 * k : 8 * k + 8]
        torch.testing.assert_close(mean[:, k], part / part.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("kind", ["cosface", "arcface"])
def test_baselines_have_a_constant_confidence(kind) -> None:
    settings = ModelSettings(
        "small", 64, embedding_dim=32, sub_embeddings=1, initial_confidence=30.0
    )
    model = build_urface(settings, ObjectiveSettings(kind, 0.4)).eval()
    with torch.no_grad():
        torch.testing.assert_close(model(images()).log_confidence.exp(), torch.full((3, 1), 30.0))
    assert [name for name, _ in model.confidence_head.named_parameters()] == []


def test_uncertainty_head_starts_as_the_confidence_head_and_leaves_it_alone() -> None:
    torch.manual_seed(0)
    model = build_urface(SETTINGS, ObjectiveSettings(margin=9.0)).eval()
    assert isinstance(model.confidence_head, ConfidenceHead)
    with torch.no_grad():
        # Untrained BatchNorms leave features in the hundreds, outside the range of confidences.
        model.confidence_head.fc.weight.mul_(1e-3)
        before = model(images())
        head = add_uncertainty_head(model)
        torch.testing.assert_close(model(images()).log_variance, before.log_variance)
        head.fc.bias += 1.0
        after = model(images())
    assert torch.equal(after.log_confidence, before.log_confidence)
    torch.testing.assert_close(after.log_variance, before.log_variance - 1.0)


def test_a_saved_model_comes_back_with_its_weights_settings_and_facts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    objective = ObjectiveSettings(margin=9.0)
    model = build_urface(SETTINGS, objective).eval()
    for uncertainty in (False, True):
        if uncertainty:
            with torch.no_grad():
                add_uncertainty_head(model).fc.bias += 0.5
        save_model(tmp_path / "model.safetensors", model, SETTINGS, objective, {"steps": 7})
        for place in (tmp_path, tmp_path / "model.safetensors"):
            loaded, settings, facts = load_model(place)
            assert settings == SETTINGS
            assert facts == {"steps": 7}
            assert not loaded.training
            with torch.no_grad():
                for got, expected in zip(loaded(images()), model(images()), strict=True):
                    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_files_that_hold_no_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    objective = ObjectiveSettings(margin=9.0)
    save_model(path, build_urface(SETTINGS, objective), SETTINGS, objective, {})
    whole = path.read_bytes()
    with pytest.raises(UserError, match="no such file"):
        load_model(tmp_path / "none")
    for content in (b"", b"garbage" * 50, whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"x\.safetensors"):
            load_model(path)
    tensors = {"a": torch.zeros(1)}
    header = {
        "format": "urface-model-1",
        "model": {},
        "objective": {},
        "uncertainty": False,
        "facts": {},
    }
    for text in (None, "{", "[]", json.dumps({"format": "other"}), json.dumps(header)):
        save_file(tensors, path, metadata=None if text is None else {"urface": text})
        with pytest.raises(UserError, match=r"x\.safetensors"):
            load_model(path)


def test_prototypes_have_unit_length_per_sub_embedding() -> None:
    prototypes = Prototypes(7, 4, 8)
    assert prototypes().shape == (7, 4, 8)
    torch.testing.assert_close(prototypes().norm(dim=2), torch.ones(7, 4))


@pytest.mark.parametrize(("classes", "world"), [(7, 2), (2, 4), (BLOCK + 5, 3), (BLOCK, 2)])
def test_prototypes_do_not_depend_on_the_number_of_ranks(
    classes: int, world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Prototypes(classes, 2, 3, seed=5).weight
    monkeypatch.setattr(distributed, "world_size", lambda: world)
    parts = []
    for rank in range(world):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        part = Prototypes(classes, 2, 3, seed=5)
        assert part.first_class == sum(len(p) for p in parts)
        parts.append(part.weight)
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(Prototypes(classes, 2, 3, seed=6).weight[:1], whole[:1]) or world > 1


def test_headers_with_wrong_settings_are_refused_in_one_line_and_null_facts_are_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.safetensors"
    objective = ObjectiveSettings(margin=9.0)
    save_model(path, build_urface(SETTINGS, objective), SETTINGS, objective, {})
    with safe_open(str(path), framework="pt") as file:
        header = json.loads(file.metadata()["urface"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    broken: list[tuple[str, str, object]] = [
        ("model", "backbone", "resnet"),
        ("model", "embedding_dim", -32),
        ("model", "embedding_dim", 33),
        ("model", "sub_embeddings", 0),
        ("model", "sub_embeddings", "4"),
        ("model", "input_size", 1000),
        ("model", "confidence_range", [1.0]),
        ("model", "confidence_range", [1.0, 2.0, 3.0]),
        ("model", "initial_confidence", None),
        ("model", "dropout", 2.0),
        ("model", "unknown", 1),
        ("objective", "margin", -1.0),
        ("objective", "decorrelate", 5),
    ]
    for group, name, value in broken:
        wrong = {**header, group: {**header[group], name: value}}
        save_file(state, path, metadata={"urface": json.dumps(wrong)})
        with pytest.raises(UserError, match=r"x\.safetensors: its header") as caught:
            load_model(path)
        assert "\n" not in str(caught.value)
    for facts in ([1], "text", 7):
        save_file(state, path, metadata={"urface": json.dumps({**header, "facts": facts})})
        with pytest.raises(UserError, match="its facts are"):
            load_model(path)
    save_file(state, path, metadata={"urface": json.dumps({**header, "facts": None})})
    assert load_model(path)[2] == {}
    add_facts(path, {"steps": 7})
    assert load_model(path)[2] == {"steps": 7}
    save_file(state, path, metadata={"urface": "[" * 100_000})
    with pytest.raises(UserError, match="its header is not urface's"):
        load_model(path)
