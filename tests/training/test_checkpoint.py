"""A damaged checkpoint is told from a whole one and passed over."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from urface.training import checkpoint
from urface.training.tensor_file import NAMES, write_tensors
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


def test_damaged_ones_that_were_passed_over_do_not_count_among_those_kept(tmp_path: Path) -> None:
    whole = save(tmp_path, 10).rename(tmp_path / "aside")
    for step in (20, 30):
        (save(tmp_path, step) / "state.safetensors").write_bytes(b"")
    whole.rename(tmp_path / "step_00000010")
    for step, kept in ((12, [10, 12]), (14, [12, 14])):
        found = checkpoint.load_latest(tmp_path)
        assert found is not None
        assert found.step == kept[0]
        save(tmp_path, step)
        assert sorted(tmp_path.iterdir()) == [tmp_path / f"step_{one:08d}" for one in kept]


def damaged(files: list[Path], trial: int, random: np.random.Generator) -> tuple[Path, bytes]:
    """One flipped bit or a cut in one of ``files``, which is changed; the file and what it was."""
    file = files[trial % len(files)]
    whole = file.read_bytes()
    data = bytearray(whole)
    if trial % 3 == 0:
        data = data[: random.integers(len(data))]
    else:
        data[random.integers(len(data))] ^= 1 << int(random.integers(8))
    file.write_bytes(data)
    return file, whole


def test_every_flipped_bit_and_cut_is_detected_and_the_one_before_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    unseen = 0
    for trial in range(500):
        file, whole = damaged(sorted(newest.iterdir()), trial, random)
        found = checkpoint.load_latest(tmp_path)
        assert found is not None
        assert found.step == 1
        said = capsys.readouterr().err
        assert "step_00000002: damaged (" in said
        assert said.endswith("the one before is taken\n")
        # The control: the library's reader alone, which knows no sum.
        if file.suffix == ".safetensors":
            try:
                load_file(file)
                unseen += 1
            except SafetensorError:
                pass
        file.write_bytes(whole)
    assert unseen > 50
    found = checkpoint.load_latest(tmp_path)
    assert found is not None
    assert found.step == 2


def test_rows_of_many_ranks_are_joined_and_cut_anew(tmp_path: Path) -> None:
    parts = [torch.arange(12.0).view(6, 2)[low:high] for low, high in ((0, 3), (3, 5), (5, 6))]
    folder = save(tmp_path, 1)
    for rank, part in enumerate(parts):
        own = {"x": part, "step": torch.tensor(7), "half": part.bfloat16()}
        write_tensors(folder / f"rank_{rank:05d}.safetensors", own)
    found = checkpoint.Checkpoint(folder, 1, 3, {})
    for wanted in (range(6), range(2, 5), range(1), range(5, 6), range(6, 6)):
        rows = found.rows(wanted)
        assert torch.equal(rows["x"], torch.cat(parts)[wanted.start : wanted.stop])
        assert torch.equal(rows["half"], torch.cat(parts).bfloat16()[wanted.start : wanted.stop])
        assert int(rows["step"]) == 7


def test_each_type_of_tensor_is_written_as_the_library_writes_it(tmp_path: Path) -> None:
    tensors = {str(dtype): torch.arange(6).view(2, 3).to(dtype) for dtype in NAMES}
    tensors |= {"scalar": torch.tensor(3.5), "empty": torch.zeros(0, 4)}
    tensors["turned"] = torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last)
    facts = write_tensors(tmp_path / "x", tensors)
    data = (tmp_path / "x").read_bytes()
    assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    found = load_file(tmp_path / "x")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    write_tensors(tmp_path / "none", {})
    assert load_file(tmp_path / "none") == {}


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

    monkeypatch.setattr(checkpoint, "write_tensors", full)
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
