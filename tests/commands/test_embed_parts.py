"""`urface embed` into parts: what the command line says, and that its result is read as any features."""

from __future__ import annotations

import json
import sys

import pyarrow.parquet as pq
import pytest

from small_model import SETTINGS, one_thread, pictures, small_model  # noqa: F401
from urface.cli import main
from urface.config import ObjectiveSettings
from urface.data.decode import encode_jpeg
from urface.models.files import save_model
from urface.recognisers.open import open_recogniser
from urface.types import FaceEmbedding, load_keys


@pytest.fixture
def given(tmp_path):
    """The arguments up to -o for a model and ten faces in a folder."""
    save_model(tmp_path / "m", small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {})
    folder = tmp_path / "faces"
    folder.mkdir()
    for number, image in enumerate(pictures(10)):
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(image))
    return ["embed", "--aligned", str(tmp_path / "m"), str(folder), "-o"]


def test_parts_hold_what_the_one_file_holds(given, tmp_path, capsys):
    one, parts = tmp_path / "one.safetensors", tmp_path / "parts"
    assert main([*given, str(one), "--batch-size", "4"]) == 0
    assert main([*given, str(parts), "--batch-size", "4", "--part-size", "8"]) == 0
    assert "10 faces in 2 parts, 0 failed" in capsys.readouterr().err
    keys = load_keys(one)
    assert keys is not None
    features = open_recogniser(parts).features([], keys)
    whole = FaceEmbedding.load(one)
    # Batches of the same images: the same bits.
    assert (features.vectors.reshape(whole.mean.shape) == whole.mean).all()
    assert (features.confidence == whole.confidence).all()
    first = pq.read_table(sorted(parts.glob("*.parquet"))[0])
    assert first.column_names == ["key", "features", "confidence", "variance", "failure"]
    assert json.loads((parts / "parts.json").read_text())["embedded"] == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["memory://x/y", "--engine", "ray"], "lives in one process"),
        (["nosuch://x/y"], "not a URL that is read"),
        (["{tmp}/p", "--part-size", "-1"], "--part-size"),
        (["{tmp}/p", "--engine", "spark"], "engine: expected one of local, ray"),
        (["{tmp}/p", "--engine", "ray"], 'needs Ray: pip install "urface\\[ray\\]"'),
        (["{tmp}/faces", "--part-size", "4"], "holds other files"),
    ],
)
def test_a_mistake_is_one_line(given, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    assert main([*given, *(option.format(tmp=tmp_path) for option in options)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("urface: error: ")
    assert message.replace("\\", "") in error
