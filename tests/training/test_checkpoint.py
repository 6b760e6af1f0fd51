"""A damaged checkpoint is told from a whole one and passed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from urface.training import checkpoint
from urface.types import UserError


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
    assert "is not what was written" in capsys.readouterr().err
    found = checkpoint.load_latest(tmp_path)
    assert found is not None
    assert found.step == 2


def test_every_single_flipped_bit_of_the_manifest_and_its_seal_is_detected(
    tmp_path: Path,
) -> None:
    newest = save(tmp_path, 2)
    flips = detected = 0
    for name in ("manifest.json", "manifest.sha256"):
        whole = (newest / name).read_bytes()
        with open(newest / name, "r+b", buffering=0) as file:
            for flip in range(8 * len(whole)):
                place, bit = divmod(flip, 8)
                file.seek(place)
                file.write(bytes([whole[place] ^ 1 << bit]))
                flips += 1
                try:
                    checkpoint._load(newest)
                except UserError:
                    pass  # that would stop a run for which the checkpoint before is whole
                except ValueError as error:
                    detected += "is not what was written" in str(error)
                file.seek(place)
                file.write(whole[place : place + 1])
    assert flips > 3000
    assert detected == flips
    assert checkpoint._load(newest).step == 2


def test_a_checkpoint_under_another_step_s_name_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2).rename(tmp_path / "step_00000009")
    found = checkpoint.load_latest(tmp_path)
    assert found is not None
    assert found.step == 1


def test_damage_to_all_checkpoints_is_no_silent_beginning(tmp_path: Path) -> None:
    for step in (1, 2):
        (save(tmp_path, step) / "state.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"no checkpoint .*step_00000002, step_00000001.* delete"):
        checkpoint.load_latest(tmp_path)


@pytest.mark.parametrize("sealed", [True, False])
def test_the_format_of_another_version_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    save(tmp_path, 1)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", "urface-checkpoint-9")
        newest = save(tmp_path, 2)
    if not sealed:
        (newest / "manifest.sha256").unlink()
    with pytest.raises(UserError, match=r"urface-checkpoint-9, this urface reads .* delete"):
        checkpoint.load_latest(tmp_path)


def test_a_manifest_without_its_seal_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (save(tmp_path, 2) / "manifest.sha256").unlink()
    found = checkpoint.load_latest(tmp_path)
    assert found is not None
    assert found.step == 1


def test_what_a_killed_save_left_behind_is_cleaned_up(tmp_path: Path) -> None:
    (tmp_path / ".step_00000007.tmp").mkdir(parents=True)
    save(tmp_path, 9)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000009"]


def test_a_gpu_s_generator_is_kept_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"gpu": torch.arange(16, dtype=torch.uint8)}
    device = torch.device("cuda", 3)

    def put(state: torch.Tensor, where: torch.device) -> None:
        states[str(where)] = state

    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda where: states["gpu"])
    monkeypatch.setattr(torch.cuda, "set_rng_state", put)
    saved = checkpoint.random_states(device)
    before = torch.rand(3)
    checkpoint.restore_random_states(saved, device)
    assert torch.equal(torch.rand(3), before)
    assert torch.equal(states["cuda:3"], states["gpu"])
    # A run may move between processors and GPUs; each way puts back what there is.
    checkpoint.restore_random_states(saved, torch.device("cpu"))
    checkpoint.restore_random_states(checkpoint.random_states(torch.device("cpu")), device)
    assert set(checkpoint.random_states(torch.device("cpu"))) == {"torch_random"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_numbers_after_its_generator_is_put_back() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    saved = checkpoint.random_states(device)
    before = torch.rand(3, device=device)
    checkpoint.restore_random_states(saved, device)
    assert torch.equal(torch.rand(3, device=device), before)


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
