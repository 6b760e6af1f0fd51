"""A place that cannot be written costs one line, whoever writes there."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import torch

from small_model import SETTINGS, one_thread, pictures, small_model
from urface.cli import main
from urface.config import ObjectiveSettings
from urface.data.decode import encode_png
from urface.models.files import add_facts, save_model
from urface.training import checkpoint
from urface.types import FaceEmbedding, UserError

__all__ = ["one_thread"]  # a fixture for every test of this file

NOWHERE = "/proc/none.safetensors"  # not even root makes files there


def faces() -> FaceEmbedding:
    return FaceEmbedding(np.ones((2, 1, 1)), np.ones((2, 1)), np.ones((2, 1)))


@pytest.fixture
def unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for whose files safetensors says what it says of a file that it cannot write."""
    import safetensors.numpy
    import safetensors.torch

    for module in (safetensors.numpy, safetensors.torch):
        plain = module.save_file

        def save_file(tensors, filename, metadata=None, plain=plain):  # type: ignore[no-untyped-def]
            plain(tensors, NOWHERE, metadata)

        monkeypatch.setattr(module, "save_file", save_file)
    monkeypatch.setattr("urface.models.files.save_file", safetensors.torch.save_file)
    return tmp_path


def test_a_file_that_cannot_be_written_is_an_os_error_that_names_it(unwritable: Path) -> None:
    objective = ObjectiveSettings("confidence", 2.0)
    path = unwritable / "x.safetensors"
    for write in (
        lambda: faces().save(path),
        lambda: save_model(path, small_model(), SETTINGS, objective, {}),
        lambda: checkpoint.save(Path("/proc/none"), 3, {"a": torch.ones(9)}, {}, {}),
    ):
        with pytest.raises(OSError) as caught:
            write()
        assert caught.value.errno == errno.ENOENT
        assert caught.value.filename is not None
        assert ".tmp.safetensors" not in caught.value.filename
    assert list(unwritable.glob("*.safetensors")) == []


def test_facts_that_cannot_be_added_leave_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {"a": 1})
    before = path.read_bytes()

    def gone(*_: object, **__: object) -> None:
        from safetensors import SafetensorError

        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("urface.models.files.save_file", gone)
    with pytest.raises(OSError, match=r"No space left on device.*model\.safetensors"):
        add_facts(path, {"b": 2})
    assert path.read_bytes() == before


def test_embed_into_proc_is_one_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.safetensors"
    save_model(model, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {})
    (tmp_path / "a.png").write_bytes(encode_png(pictures(1)[0]))
    command = [
        "embed",
        "--aligned",
        str(model),
        str(tmp_path / "a.png"),
        "-o",
        "/proc/x.safetensors",
    ]
    assert main(command) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("urface: error: /proc")
    # Where the folder became unwritable only after it was looked at.
    monkeypatch.setattr("urface.commands.embed._check_output", lambda _: None)
    assert main(command) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("urface: error: /proc/x.safetensors: ")


def test_saving_faces_as_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a folder; name a file in it"):
        faces().save(tmp_path)
