"""What a user of `urface evaluate` gets wrong: one line that says it, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import tiny
from small_model import SETTINGS, one_thread, small_model
from urface.cli import main
from urface.config import ObjectiveSettings
from urface.models.files import save_model

__all__ = ["one_thread"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, LFW of 4 x 4 pixels, features of other images, and files that are broken."""
    from recognisers.onnx_models import model as onnx_model
    from recognisers.onnx_models import write

    desk = tmp_path_factory.mktemp("desk")
    model = desk / "runs" / "mine" / "model.safetensors"
    model.parent.mkdir(parents=True)
    save_model(model, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {})
    write(desk / "theirs.onnx", onnx_model())
    tiny.lfw(desk / "lfw")
    values = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    np.savez(desk / "features.npz", keys=np.array(list("abcde")), features=values)
    for name in ("empty", "IJBC", "several"):
        (desk / name).mkdir()
    for name in ("a.jpg_x.bin", "a.jpg_y.bin"):
        (desk / "several" / name).write_bytes(bytes(20))
    (desk / "pairs.txt").write_text("10\t1\n")
    (desk / "text.onnx").write_text("not a model at all")
    (desk / "cut.pth").write_bytes(b"PK\x03\x04" + bytes(200))
    (desk / "cut.safetensors").write_bytes(model.read_bytes()[:5000])
    return desk


WRONG: list[tuple[list[str], str]] = [
    (["none"], "none: no such file"),
    (["empty"], "model.safetensors: no such file"),
    (["runs/mine", "--benchmark", "lfww"], "no benchmark is called 'lfww' (did you mean lfw?)"),
    (["runs/mine", "--data", "nowhere"], "nowhere"),
    (["runs/mine", "--data", "theirs.onnx"], "expected a folder, a .tar or a .bin"),
    (["runs/mine", "--data", "IJBC"], "IJBC"),
    (["cut.pth"], "cut.pth: it holds no readable weights"),
    (["text.onnx"], "text.onnx: "),
    (["cut.safetensors"], "cut.safetensors: "),
    (["features.npz"], "has no usable feature of any of the"),
    (["features.npz", "--flip"], "cannot be mirrored"),
    (["features.npz", "--score", "likelihood"], "gives no variance"),
    (["features.npz", "--parts", "3"], "cannot be split into 3 parts"),
    (["runs/mine", "--parts", "2"], "for which --parts cannot be given"),
    (["runs/mine", "--preprocessing", "colour=green"], "colour"),
    (["runs/mine", "--architecture", "iresnet50"], "for which --architecture cannot be given"),
    (["runs/mine", "--sha256", "00"], "not 00 as pinned"),
    (["runs/mine", "-o", "theirs.onnx"], "theirs.onnx: a file; --output names a folder"),
    (["runs/mine", "-o", "theirs.onnx/out"], "theirs.onnx"),
    (["runs/mine", "-o", "/proc/nothing"], "/proc/nothing"),
    (["runs/mine", "--detector-weights"], "no detector's scores"),
    (["runs/mine", "--measures", "far@2"], "is no measure"),
    (["runs/mine", "--join", "pairs.txt"], "pairs.txt: not JSON"),
    (["runs/mine", "--batch-size", "0"], "--batch-size must be"),
    (["pairs.txt"], "pairs.txt: "),
    (["several"], "features of several programs (_x.bin, _y.bin)"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_what_a_user_gets_wrong_costs_one_line(
    arguments, words, desk, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(desk)
    usual = {"--benchmark": "lfw", "--data": "lfw", "-o": str(tmp_path / "out")}
    given = [*arguments, *(x for k, v in usual.items() if k not in arguments for x in (k, v))]
    assert main(["evaluate", *given]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("urface: error: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert not (tmp_path / "out" / "results.json").exists()
