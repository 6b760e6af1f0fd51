"""Any frozen model learns how sure it is, and what it computes does not change by a bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr

import urface
from plain_networks import seeded_state
from small_model import SETTINGS, small_model
from urface.cli import main
from urface.commands.uncertainty import run as run_uncertainty
from urface.config import ObjectiveSettings
from urface.data.decode import encode_png
from urface.data.open import open_faces
from urface.models.files import save_model
from urface.models.insightface import InsightFaceIResNet
from urface.models.output_branch import OutputBranch
from urface.recognisers.open import open_recogniser
from urface.recognisers.preprocessing import read_preprocessing
from urface.recognisers.recogniser import Features, Recogniser
from urface.scoring.fusion import fuse
from urface.training import checkpoint
from urface.training.branch_checkpoint import FOLDER
from urface.training.logs import read_log
from urface.types import FaceEmbedding, UserError

FEW = [
    "--steps",
    "6",
    "--identities",
    "6",
    "--images_per_identity",
    "3",
    "--threads",
    "1",
    "--no_check",
]
FEW += ["--precision", "fp32"]


def faces(folder: Path) -> tuple[list[np.ndarray], list[str]]:
    source = open_faces(folder)
    return [source.image(place) for place in range(9)], source.keys[:9]


def as_embedding(found: Features) -> FaceEmbedding:
    parts = found.vectors.reshape(len(found), found.parts, -1)
    assert found.variance is not None
    unit = parts / np.linalg.norm(parts, axis=2, keepdims=True)
    return FaceEmbedding(unit, np.ones(parts.shape[:2], np.float32), found.variance)


def check_usable(recogniser: Recogniser, found: Features) -> None:
    """Likelihood scores and fusion work on what it gives, and it tells faces apart."""
    assert recogniser.has_variance
    embedding = as_embedding(found)
    assert np.std(found.variance, axis=0).min() > 0
    scores = urface.score(embedding, embedding, "likelihood")
    assert np.isfinite(scores).all()
    fused = fuse(embedding, np.arange(len(found)) // 3)
    assert np.all(np.asarray(fused.variance) < np.asarray(embedding.variance).max(0))


def losses(out: Path) -> list[float]:
    return [line["L_unc"] for line in read_log(out / "log.jsonl")]


def test_an_iresnet_keeps_its_embedding_to_the_bit_and_gains_variances(
    faces_folder: Path, tmp_path: Path
) -> None:
    path, out = tmp_path / "w.safetensors", tmp_path / "out"
    save_file(seeded_state(InsightFaceIResNet("iresnet18", 64, 32)), path)
    declared = "colour=bgr,mean=0,scale=1/255,size=64"
    command = ["uncertainty", str(path), "--preprocessing", declared, "--data", str(faces_folder)]
    assert main([*command, "--parts", "4", *FEW, "-o", str(out)]) == 0
    images, keys = faces(faces_folder)
    exact: Any = {"device": "cpu", "precision": "fp32"}
    before = open_recogniser(path, preprocessing=read_preprocessing(declared), **exact)
    after = open_recogniser(out, **exact)
    found = after.features(images, keys)
    assert np.array_equal(found.vectors, before.features(images, keys).vectors)
    assert not before.has_variance
    assert (after.parts, found.variance.shape) == (4, (9, 4))  # type: ignore[union-attr]
    check_usable(after, found)
    embedder = urface.load(out, device="cpu", precision="fp32")  # a model like any of ours
    np.testing.assert_allclose(embedder.embed(images).variance, found.variance, rtol=1e-5)
    assert embedder.facts["imported"]["preprocessing"]["colour"] == "bgr"
    assert embedder.facts["branch"]["sees"].startswith("the features before")
    with pytest.raises(UserError, match="holds a model already"):
        run_uncertainty([*command[1:], *FEW, "-o", str(out)])


def test_ours_keeps_its_sub_embeddings_and_gets_another_branch(
    faces_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ours.safetensors"
    save_model(
        path,
        small_model(),
        SETTINGS,
        ObjectiveSettings("confidence", 2.0),
        {"steps": 5, "calibration": {}},
    )
    command = [
        "uncertainty",
        str(path),
        "--data",
        str(faces_folder),
        *FEW,
        "-o",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--parts", "8"]) == 2
    assert "was trained with 4 sub-embeddings" in capsys.readouterr().err
    assert main([*command, "--per_dimension"]) == 0
    old, new = load_file(path), load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(new[name], value) for name, value in old.items())
    assert {name.split(".")[0] for name in new.keys() - old.keys()} == {"uncertainty_head"}
    recogniser = open_recogniser(tmp_path / "out")
    images, keys = faces(faces_folder)
    assert recogniser.features(images, keys).variance.shape == (9, 4, 8)  # type: ignore[union-attr]
    facts = urface.load(tmp_path / "out").facts
    assert facts["steps"] == 5
    assert "calibration" not in facts  # it was measured on the scores of other variances


def noisy_features(folder: Path) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Features of the folder's keys: noisier ones are shorter, as blurred faces' are."""
    source = open_faces(folder)
    random = np.random.default_rng(0)
    people = random.normal(size=(8, 16))
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    noise = random.uniform(0.02, 0.3, len(source))
    vectors = people[source.labels] + noise[:, None] * random.normal(size=(len(source), 16))
    vectors *= (np.exp(-4 * noise) / np.linalg.norm(vectors, axis=1))[:, None]
    return vectors.astype(np.float32), source.keys, noise


def test_features_alone_gain_variances_that_follow_their_noise(
    faces_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors, keys, noise = noisy_features(faces_folder)
    np.savez(tmp_path / "f.npz", features=vectors, keys=np.array(keys))
    out = tmp_path / "out"
    command = ["uncertainty", str(tmp_path / "f.npz"), "--data", str(faces_folder), "--parts", "2"]
    command += [
        "--steps",
        "150",
        "--identities",
        "8",
        "--images_per_identity",
        "6",
        "--threads",
        "1",
    ]
    assert main([*command, "-o", str(out)]) == 0
    assert losses(out)[-1] < losses(out)[0] - 0.05
    with pytest.raises(UserError, match="name the features to apply it to with --features"):
        open_recogniser(out)
    recogniser = open_recogniser(out, features=tmp_path / "f.npz")
    assert not recogniser.needs_images
    found = recogniser.features([], keys)
    assert np.array_equal(found.vectors, vectors)
    check_usable(recogniser, found)
    assert spearmanr(np.log(found.variance).mean(1), noise).statistic > 0.8  # type: ignore[arg-type]
    np.savez(tmp_path / "g.npz", features=vectors[:, :8], keys=np.array(keys))
    with pytest.raises(UserError, match=r"has 8 dimensions, the branch in .* is for 16"):
        open_recogniser(out, features=tmp_path / "g.npz")
    assert capsys.readouterr().out.strip() == str(out / "model.safetensors")


def test_an_onnx_model_travels_in_its_branchs_file(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="makes ONNX models: pip install onnx")
    pytest.importorskip("onnxruntime", reason="runs ONNX models: pip install onnxruntime")
    from recognisers.onnx_models import DIM, SIZE, model, write

    folder, random = tmp_path / "faces", np.random.default_rng(0)
    for person in range(6):
        (folder / f"p{person}").mkdir(parents=True)
        for shot in range(3):
            image = random.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
            (folder / f"p{person}" / f"{shot}.png").write_bytes(encode_png(image))
    bad = folder / "p5" / "0.png"  # beyond the images that are looked at below
    bad.write_bytes(bad.read_bytes()[:-20])
    path, out = write(tmp_path / "net.onnx", model()), tmp_path / "out"
    command = ["uncertainty", str(path), "--preprocessing", f"mean=0,scale=1/255,size={SIZE}"]
    assert main([*command, "--data", str(folder), "--parts", "2", *FEW, "-o", str(out)]) == 0
    kept = checkpoint.newest_values(out / FOLDER)
    assert kept is not None
    assert list(kept["corrupt"]) == ["p5/0.png"]  # what a run that goes on begins with
    before = open_recogniser(path, preprocessing=read_preprocessing(command[-1]))
    images, keys = faces(folder)
    plain = before.features(images, keys).vectors
    path.unlink()
    after = open_recogniser(out)
    found = after.features(images, keys)
    assert np.array_equal(found.vectors, plain)
    assert after.preprocessing == before.preprocessing
    assert (found.vectors.shape, after.parts) == ((9, DIM), 2)
    check_usable(after, found)


def test_a_damaged_branch_is_refused_in_one_line(tmp_path: Path) -> None:
    from urface.recognisers.branch import save_branch
    from urface.recognisers.features_file import FeaturesFile

    np.savez(tmp_path / "f.npz", features=np.ones((2, 4), np.float32), keys=np.array(["a", "b"]))
    path = tmp_path / "b.safetensors"
    save_branch(path, FeaturesFile(tmp_path / "f.npz", "f"), OutputBranch(4, 1), {})
    good = path.read_bytes()
    open_recogniser(path, features=tmp_path / "f.npz")
    for old, new in (
        (b'dim\\": 4', b'dim\\": 5'),
        (b"branch-1", b"branch-9"),
        (b'parts\\": 1', b'parts\\": 0'),
    ):
        assert good.count(old) == 1
        path.write_bytes(good.replace(old, new))
        with pytest.raises(UserError, match=r"b\.safetensors: (its header does|format)") as caught:
            open_recogniser(path, features=tmp_path / "f.npz")
        assert "\n" not in str(caught.value)


def test_lengths_that_say_nothing_do_no_harm() -> None:
    branch = OutputBranch(8, 2)
    unit = torch.nn.functional.normalize(torch.randn(20, 2, 4), dim=2).flatten(1)
    branch.learn_lengths(unit)
    with torch.no_grad():
        out, again = branch(unit), branch(unit * 1.0000001)
    assert torch.isfinite(out).all()
    assert float((again - out).abs().max()) < 1e-3
