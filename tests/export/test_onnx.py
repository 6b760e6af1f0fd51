"""Claims about exported models: the same answers, in one file, or no file."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import urface
from small_model import SETTINGS, one_thread, pictures, small_model
from urface.cli import main
from urface.config import ModelSettings, ObjectiveSettings
from urface.decision import fit_decision
from urface.export import onnx as exporter
from urface.export.graph import PlainURFace
from urface.models.files import add_facts, save_model
from urface.models.urface import URFace, add_uncertainty_head, build_urface
from urface.recognisers.onnx_file import refuse_external_data
from urface.recognisers.onnx_process import OnnxProcess
from urface.recognisers.open import open_recogniser
from urface.types import UserError

__all__ = ["one_thread"]
pytest.importorskip("onnxscript", reason="exports models: pip install 'urface[export]'")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "run_onnx.py"


def decision() -> dict[str, Any]:
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(60, 20, 300), random.normal(20, 20, 4000)])
    return fit_decision(scores, np.arange(4300) < 300, "likelihood", data="made up").to_dict()


def with_uncertainty() -> URFace:
    model = small_model()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        head = add_uncertainty_head(model)
        with torch.no_grad():
            head.fc.weight.normal_(0, 0.5)
    return model.eval()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, with_uncertainty(), SETTINGS, ObjectiveSettings("confidence", 2.0), {})
    add_facts(path, {"decision": decision()})
    return path


@pytest.fixture(scope="module")
def exported(path: Path) -> Path:
    out = path.with_suffix(".onnx")
    assert main(["export", str(path), "-o", str(out)]) == 0
    return out


def test_a_model_and_its_export_say_the_same_in_any_batch(path: Path, exported: Path) -> None:
    faces = urface.load(path, "cpu", "fp32").embed(pictures(7))
    model = open_recogniser(exported)
    assert model.has_variance
    assert model.parts == 4
    for size in (1, 3, 7):
        parts = [model.features(pictures(7)[i : i + size], []) for i in range(0, 7, size)]
        vectors = np.concatenate([part.vectors for part in parts]).reshape(7, 4, 8)
        np.testing.assert_allclose(vectors, faces.mean, atol=1e-5)
        for name in ("confidence", "variance"):
            got = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_allclose(got, getattr(faces, name), rtol=1e-4)
    assert np.std(np.log(np.asarray(faces.variance))) > 0.01  # or any constant would have passed


def test_the_file_stands_alone_and_tells_where_it_is_from(path: Path, exported: Path) -> None:
    from urface.recognisers.network import digest_of_ours

    assert [file.name for file in exported.parent.iterdir() if "onnx" in file.name] == [
        exported.name
    ]
    refuse_external_data(exported.read_bytes())
    process = OnnxProcess(exported.read_bytes(), "x")
    told = json.loads(process.described["metadata"]["urface"])
    process.close()
    assert told["model_sha256"] == digest_of_ours(path)
    assert (told["input"]["size"], told["input"]["frame"]) == (64, 70)
    assert told["template"]["size"] == 112
    assert len(told["template"]["points"]) == 5
    assert process.described["inputs"][0]["shape"] == [None, 3, 64, 64]
    shapes = {output["name"]: output["shape"] for output in process.described["outputs"]}
    assert shapes == {"mean": [None, 4, 8], "confidence": [None, 4], "variance": [None, 4]}


def test_no_batchnorm_is_left_where_one_can_be_folded(exported: Path) -> None:
    import onnx

    model = onnx.load_from_string(exported.read_bytes())
    kinds = [node.op_type for node in model.graph.node]
    # Before the convolution of each block, whose padding follows it, and after the last: 9 + 1.
    assert kinds.count("BatchNormalization") <= 10
    assert kinds.count("Conv") >= 19


@pytest.mark.parametrize("kind", ["cosface", "per_dimension", "no_uncertainty"])
def test_other_kinds_of_model_are_the_same_numbers(kind: str) -> None:
    settings = SETTINGS
    model = small_model()
    if kind == "cosface":
        settings = ModelSettings("tiny", 32, embedding_dim=16, sub_embeddings=1)
        model = build_urface(settings, ObjectiveSettings("cosface", 0.3)).eval()
    if kind == "per_dimension":
        add_uncertainty_head(model, per_dimension=True)
        model.eval()
    size = settings.input_size
    frames = torch.from_numpy(pictures(3, 70)[:, :size, :size].copy())
    with torch.no_grad():
        mean, log_confidence, log_variance = model(frames)
        got = PlainURFace(model).eval()(frames.permute(0, 3, 1, 2).float())
    torch.testing.assert_close(got[0], mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(got[1], log_confidence.exp(), rtol=1e-4, atol=0)
    torch.testing.assert_close(got[2], log_variance.exp(), rtol=1e-4, atol=0)


def test_a_file_that_differs_is_not_put_in_place(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Wrong(PlainURFace):
        def forward(self, pixels: torch.Tensor) -> Any:
            mean, confidence, variance = super().forward(pixels)
            return mean, confidence, variance * 1.001

    monkeypatch.setattr(exporter, "PlainURFace", Wrong)
    wrong = exporter.traced(urface.load(path, "cpu", "fp32"))
    monkeypatch.setattr(exporter, "traced", lambda embedder: wrong)
    out = tmp_path / "model.onnx"
    out.write_bytes(b"what was there")
    assert main(["export", str(path), "-o", str(out)]) == 2
    assert "not written, since ONNX Runtime's answers differ" in capsys.readouterr().err
    assert out.read_bytes() == b"what was there"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    # The control: without the comparison the same wrong file is put in place.
    monkeypatch.setattr(exporter, "TOLERANCE", np.inf)
    assert main(["export", str(path), "-o", str(out)]) == 0
    assert out.read_bytes() != b"what was there"


def test_what_cannot_be_exported_is_one_line(
    path: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model, out, words in (
        (path, tmp_path / "x.bin", "ends in .onnx"),
        (exported, tmp_path / "x.onnx", "not a readable safetensors file"),
        (tmp_path / "none", tmp_path / "x.onnx", "no such file"),
    ):
        assert main(["export", str(model), "-o", str(out)]) == 2
        assert words in capsys.readouterr().err
    with pytest.raises(UserError, match="says itself how it is read"):
        open_recogniser(exported, parts=2)


def test_the_example_runs_without_urface_and_scores_as_urface_does(
    path: Path, exported: Path, tmp_path: Path
) -> None:
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(ast.parse(EXAMPLE.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in node.names
    }
    assert imported <= {"cv2", "numpy", "onnxruntime", "json", "math", "sys"}
    photos = []
    for number, face in enumerate(pictures(2, 112)):
        photos.append(str(tmp_path / f"{number}.png"))
        cv2.imwrite(photos[-1], face[..., ::-1])
    ran = subprocess.run(
        [sys.executable, "-P", str(EXAMPLE), str(exported), *photos],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    said = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    faces = urface.load(path, "cpu", "fp32").embed(pictures(2, 112))
    for method in ("likelihood", "cosine"):
        wanted = float(urface.score(faces[0], faces[1], method)[0])
        assert float(said[method]) == pytest.approx(wanted, abs=2e-3, rel=2e-3)
    assert said["probability"].endswith("where 50 % of comparisons are")
