"""A damaged checkpoint is told from a whole one and passed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from urface.training import checkpoint


def save(folder: Path, step: int) -> Path:
    shared = {"a": torch.full((64, 8), float(step)), "b": torch.arange(7)}
    return checkpoint.save(folder, step, shared, {"own": torch.ones(3) * step}, {"note": step})


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    save(tmp_path, 5)
    found = checkpoint.load_latest(tmp_path)
    assert found is not None
    assert (found.step, found.values) == (5, {"note": 5})
    assert torch.equal(found.shared["a"], torch.full((64, 8), 5.0))
    assert torch.equal(found.parts[0]["own"], torch.ones(3) * 5)


def test_only_the_newest_two_are_kept_and_nothing_half_written_stays(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_00000003", "step_00000004"]


def test_every_flipped_bit_and_cut_is_detected_and_the_one_before_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    files = [newest / "state.safetensors", newest / "rank_00000.safetensors"]
    whole = {file: file.read_bytes() for file in files}
    for trial in range(100):
        file = files[trial % 2]
        data = bytearray(whole[file])
        if trial % 3 == 0:
            data = data[: random.integers(len(data))]
        else:
            data[random.integers(len(data))] ^= 1 << int(random.integers(8))
        file.write_bytes(data)
        found = checkpoint.load_latest(tmp_path)
        assert found is not None
        assert found.step == 1
        file.write_bytes(whole[file])
    assert "taking the one before" in capsys.readouterr().err
    found = checkpoint.load_latest(tmp_path)
    assert found is not None
    assert found.step == 2


def test_an_error_while_writing_leaves_the_older_one_and_the_next_save_cleans_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 2)
    monkeypatch.undo()
    found = checkpoint.load_latest(tmp_path)
    assert found is not None
    assert found.step == 1
    save(tmp_path, 2)
    assert not list(tmp_path.glob(".*.tmp"))


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert checkpoint.load_latest(tmp_path / "missing") is None
