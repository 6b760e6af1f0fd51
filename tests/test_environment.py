"""Claims about the choice of device and precision."""

from __future__ import annotations

import pytest
import torch

from urface import environment as env
from urface.config import RunSettings
from urface.types import UserError


def test_a_gpu_asked_for_in_vain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"run\.device is cuda.*cpu or auto"):
        env.environment(RunSettings(device="cuda"))
    assert env.environment(RunSettings(device="auto", threads=1)).device == torch.device("cpu")


@pytest.mark.parametrize("hardware", [True, False])
def test_precision_follows_the_hardware_unless_it_is_set(
    monkeypatch: pytest.MonkeyPatch, hardware: bool
) -> None:
    monkeypatch.setattr(env, "cpu_has_bf16", lambda: hardware)
    expected = {"auto": hardware, "bf16": True, "fp32": False}
    for precision, bf16 in expected.items():
        settings = RunSettings(device="cpu", precision=precision, threads=1)  # type: ignore[arg-type]
        chosen = env.environment(settings)
        assert chosen.dtype == (torch.bfloat16 if bf16 else torch.float32)
        with chosen.autocast():
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == chosen.dtype


def test_ranks_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(env, "_cores", lambda: 8)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    here = env.environment(RunSettings(device="cpu"))
    assert asked == []  # to choose is not to change: the Embedder leaves its caller's threads alone
    env.take_over(here, 0)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    env.take_over(here, 0)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    env.take_over(here, 0)
    env.take_over(here, 3)
    assert asked == [8, 2, 1, 3]


def test_the_machine_is_described_without_names() -> None:
    said = env.machine()
    assert set(said) == {"processor", "cores", "accelerator", "python", "torch", "ranks"}
    assert said["ranks"] == 1
    assert isinstance(said["cores"], int)
