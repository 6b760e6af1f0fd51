"""Ours, InsightFace's, AdaFace's and MagFace's weights give the embeddings of their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import urface
from plain_networks import BLOCKS, IR_BLOCKS, ir_forward, ir_state, plain_forward, seeded_state
from small_model import SETTINGS, pictures, small_model
from urface.cli import main
from urface.config import ObjectiveSettings
from urface.models.files import add_facts, save_model
from urface.models.insightface import InsightFaceIResNet
from urface.recognisers.network import NetworkRecogniser
from urface.recognisers.open import open_recogniser
from urface.recognisers.recogniser import Preprocessing
from urface.recognisers.usable import refuse_unusable
from urface.types import UserError

SIZE, DIM = 64, 32


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_model(path, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {})
    return path


def opened(path: Path, **options: object) -> NetworkRecogniser:
    found = open_recogniser(path, device="cpu", precision="fp32", **options)  # type: ignore[arg-type]
    assert isinstance(found, NetworkRecogniser)
    return found


def pixels(images: np.ndarray, mean: float = 127.5, scale: float = 1 / 127.5) -> Tensor:
    return (torch.from_numpy(images).permute(0, 3, 1, 2).double() - mean) * scale


def off(got: np.ndarray, expected: Tensor) -> float:
    return float((torch.from_numpy(got).double() - expected).norm() / expected.norm())


def insightface_state(depth: str) -> dict[str, Tensor]:
    return seeded_state(InsightFaceIResNet(depth, SIZE, DIM))


def test_ours_gives_what_the_embedder_gives_before_its_lengths_are_taken_away(ours: Path) -> None:
    images = pictures(5)
    recogniser = opened(ours.parent)
    found = recogniser.features(list(images), [str(n) for n in range(5)])
    embedded = urface.load(ours, device="cpu", precision="fp32").embed(images)
    parts = found.vectors.reshape(5, 4, 8)
    lengths = np.linalg.norm(parts, axis=2, keepdims=True)
    assert found.parts == recogniser.parts == 4
    assert np.ptp(lengths) > 0.1  # not normalised
    np.testing.assert_allclose(parts / lengths, embedded.mean, atol=1e-6)
    assert np.array_equal(found.confidence, embedded.confidence)
    assert np.array_equal(found.variance, embedded.variance)
    assert recogniser.has_variance
    assert recogniser.needs_images
    assert recogniser.preprocessing == Preprocessing(64, frame=70)


def test_the_digest_of_ours_follows_weights_and_settings_but_no_calibration(
    ours: Path, tmp_path: Path
) -> None:
    before = opened(ours).digest
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(ours.read_bytes())
    add_facts(copy, {"calibration": {"threshold": 1.0}})
    assert copy.read_bytes() != ours.read_bytes()
    assert opened(copy).digest == before
    changed = small_model()
    with torch.no_grad():
        changed.backbone.conv1.weight[0, 0, 0, 0] += 1e-3
    save_model(copy, changed, SETTINGS, ObjectiveSettings("confidence", 2.0), {})
    assert opened(copy).digest != before


@pytest.mark.parametrize(("depth", "ending"), [("iresnet18", "safetensors"), ("iresnet50", "pth")])
def test_an_insightface_state_dict_embeds_as_its_definition_demands(
    depth: str, ending: str, tmp_path: Path
) -> None:
    state = insightface_state(depth)
    path = tmp_path / f"backbone.{ending}"
    if ending == "pth":
        torch.save({f"module.{name}": value for name, value in state.items()}, path)
    else:
        save_file(state, path)
    images = pictures(2, 112)
    declared = Preprocessing(SIZE)
    recogniser = opened(path, preprocessing=declared, cache=tmp_path / "cache")
    seen = np.stack([_resized(image) for image in images])
    expected = plain_forward(state, BLOCKS[depth], pixels(seen))
    assert off(recogniser.features(list(images), ["a", "b"]).vectors, expected) < 1e-5
    assert recogniser.architecture == depth
    assert recogniser.name == tmp_path.name  # backbone says nothing
    assert not recogniser.has_variance


def _resized(image: np.ndarray) -> np.ndarray:
    from urface.data.decode import resize_image

    return resize_image(image, SIZE)


@pytest.mark.parametrize("depth", ["ir18", "ir50"])
def test_an_adaface_checkpoint_embeds_as_its_definition_demands_with_blue_first(
    depth: str, tmp_path: Path
) -> None:
    state = ir_state(IR_BLOCKS[depth], SIZE, DIM)
    if depth == "ir18":  # the checkpoint that their trainer, Lightning, writes
        path = tmp_path / f"adaface_{depth}.ckpt"
        lightning = {f"model.{name}": value for name, value in state.items()}
        lightning["head.kernel"] = torch.zeros(DIM, 7)
        torch.save({"epoch": 3, "state_dict": lightning, "optimizer_states": [{"lr": 0.1}]}, path)
    else:
        path = tmp_path / f"adaface_{depth}.safetensors"
        save_file(state, path)
    images = pictures(2, 112)
    recogniser = opened(path, preprocessing=Preprocessing(SIZE, "bgr"), cache=tmp_path / "cache")
    seen = np.stack([_resized(image) for image in images])
    expected = ir_forward(state, IR_BLOCKS[depth], pixels(seen[..., ::-1].copy()))
    wrong = ir_forward(state, IR_BLOCKS[depth], pixels(seen))
    got = recogniser.features(list(images), ["a", "b"]).vectors
    assert off(got, expected) < 1e-5
    assert off(got, wrong) > 0.05
    assert recogniser.architecture == f"adaface_{depth}"
    under = recogniser.features_under(Preprocessing(SIZE, "rgb"), list(images), ["a", "b"])
    assert off(under.vectors, wrong) < 1e-5


def test_adaface_is_taken_as_bgr_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file(ir_state(IR_BLOCKS["ir18"], 112, DIM), path)
    assert opened(path).preprocessing == Preprocessing(colour="bgr")
    assert opened(path, architecture="adaface_ir18").name == "a"
    told = opened(path, preprocessing=Preprocessing(colour="rgb"))
    assert told.preprocessing == Preprocessing()


def test_magface_must_be_told_its_preprocessing(tmp_path: Path) -> None:
    state = {f"features.module.{k}": v for k, v in insightface_state("iresnet18").items()}
    path = tmp_path / "magface.safetensors"
    save_file({**state, "fc.weight": torch.zeros(9, DIM)}, path)
    with pytest.raises(UserError, match=r"magface_iresnet18 does not say .*--preprocessing"):
        opened(path)
    declared = Preprocessing(SIZE, "bgr", 0.0, 1 / 255)
    images = pictures(2, SIZE - 1)
    images = np.stack([_resized(image) for image in images])
    recogniser = opened(path, preprocessing=declared)
    expected = plain_forward(
        insightface_state("iresnet18"),
        BLOCKS["iresnet18"],
        pixels(images[..., ::-1].copy(), 0.0, 1 / 255),
    )
    assert off(recogniser.features(list(images), ["a", "b"]).vectors, expected) < 1e-5
    assert recogniser.preprocessing == declared


def test_an_imported_model_embeds_to_the_bit_as_the_weights_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.safetensors"
    save_file(insightface_state("iresnet18"), path)
    command = [
        "import-weights",
        str(path),
        "--preprocessing",
        "colour=bgr,mean=0,scale=1/255,size=64",
    ]
    assert main([*command, "-o", str(tmp_path / "m")]) == 0
    declared = Preprocessing(64, "bgr", 0.0, 1 / 255)
    before, after = opened(path, preprocessing=declared), opened(tmp_path / "m")
    images = list(pictures(3))
    same = before.features(images, ["a", "b", "c"]).vectors
    assert np.array_equal(after.features(images, ["a", "b", "c"]).vectors, same)
    embedded = urface.load(tmp_path / "m", device="cpu", precision="fp32")
    unit = same / np.linalg.norm(same, axis=1, keepdims=True)
    np.testing.assert_allclose(embedded.embed(images).mean[:, 0], unit, atol=1e-6)
    told = embedded.facts["imported"]
    assert told["preprocessing"] == declared.to_dict()
    assert told["sha256"] == before.digest
    assert after.preprocessing == Preprocessing(64, "rgb", 0.0, 1 / 255)  # folded into the weights
    assert capsys.readouterr().out.strip() == str(tmp_path / "m" / "model.safetensors")


def test_parts_split_the_embedding_and_change_no_value(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(insightface_state("iresnet18"), path)
    images, declared = list(pictures(2)), Preprocessing(SIZE)
    whole = opened(path, preprocessing=declared).features(images, ["a", "b"])
    split = opened(path, preprocessing=declared, parts=8).features(images, ["a", "b"])
    assert (whole.parts, split.parts) == (1, 8)
    assert np.array_equal(whole.vectors, split.vectors)
    with pytest.raises(UserError, match="32 dimensions cannot be split into 5"):
        opened(path, preprocessing=declared, parts=5)


def test_a_face_without_a_finite_feature_is_named(tmp_path: Path) -> None:
    state = insightface_state("iresnet18")
    state["fc.bias"] = state["fc.bias"] * float("nan")
    save_file(state, tmp_path / "w.safetensors")
    recogniser = opened(tmp_path / "w.safetensors", preprocessing=Preprocessing(SIZE))
    found = recogniser.features([pictures(1)[0]], ["who/1.jpg"])
    with pytest.raises(UserError, match=r"who/1\.jpg: the model gives no finite feature"):
        refuse_unusable(found, ["who/1.jpg"])


def test_what_does_not_fit_is_refused_in_one_line(ours: Path, tmp_path: Path) -> None:
    good, other = tmp_path / "w.safetensors", tmp_path / "other.safetensors"
    save_file(insightface_state("iresnet18"), good)
    save_file({"a": torch.zeros(1)}, other)
    units = ir_state([2, 2, 2, 2], SIZE, DIM)
    save_file(
        {k: v for k, v in units.items() if not k.startswith("body.7")}, tmp_path / "7.safetensors"
    )
    save_file({**units, "body.3.se.fc.weight": torch.zeros(2)}, tmp_path / "se.safetensors")
    (tmp_path / "empty.pth").write_bytes(b"")
    for path, options, words in (
        (tmp_path / "none.pth", {}, "no such file"),
        (tmp_path / "empty.pth", {}, "is empty"),
        (good, {"architecture": "iresnet50"}, "are of iresnet18, not iresnet50"),
        (good, {"architecture": "vit"}, "no architecture is called 'vit'"),
        (good, {}, "does not fit an iresnet at 112 x 112"),
        (good, {"preprocessing": Preprocessing(500)}, "pixels, not 500"),
        (good, {"sha256": "00"}, "its SHA-256 is .* not 00 as pinned"),
        (good, {"features": "f.npz"}, "weights of a network, for which --features cannot"),
        (other, {}, "no architecture that we know has weights called a"),
        (tmp_path / "7.safetensors", {}, "7 units"),
        (tmp_path / "se.safetensors", {}, r"body\.3\.se\.fc\.weight is no part of an IR network"),
        (ours, {"architecture": "iresnet18"}, "which says all that itself"),
        (ours, {"preprocessing": Preprocessing()}, "which says all that itself"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            open_recogniser(path, cache=tmp_path / "cache", **options)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_numbers_that_are_reported_are_computed_in_float32_whatever_the_processor_has(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urface.environment.cpu_has_bf16", lambda: True)
    found = open_recogniser(ours, device="cpu")
    assert isinstance(found, NetworkRecogniser)
    assert found.precision == "fp32"
    fast = open_recogniser(ours, device="cpu", precision="auto")
    assert isinstance(fast, NetworkRecogniser)
    assert fast.precision == "bf16"
