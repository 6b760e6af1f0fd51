"""Watches each step of both stages as it begins, for tests that stop a run or spoil its numbers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from urface.config import TrainSettings
from urface.training import loop, uncertainty
from urface.training.logs import read_log
from urface.training.signals import StopRequested
from urface.training.train import train
from urface.types import FaceBatch

Watch = Callable[[str, FaceBatch, Tensor], Tensor]


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """``watch(stage, batch, images)`` gives the images that each step then sees."""
    plain = loop.to_device

    def of(stage: str) -> Callable[..., tuple[Tensor, Tensor]]:
        def to_device(batch, env):  # type: ignore[no-untyped-def]
            images, labels = plain(batch, env)
            return watch(stage, batch, images), labels

        return to_device

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "to_device", of("embedding"))
        patch.setattr(uncertainty, "to_device", of("uncertainty"))
        yield


class Recorded:
    """The ordered ids of every step that was trained on, and a SIGTERM before the end of step ``at``."""

    def __init__(self) -> None:
        self.ids: list[tuple[str, list[int]]] = []
        self.at = -1

    def __call__(self, stage: str, batch: FaceBatch, images: Tensor) -> Tensor:
        if len(self.ids) == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
        self.ids.append((stage, batch.index.tolist()))
        return images

    def train(self, settings: TrainSettings, stop_in: int = -1) -> bool:
        """Train on; whether the run came to its end. ``stop_in`` counts the steps of both stages."""
        self.at = stop_in
        with watched(self):
            try:
                train(settings, progress=False)
            except StopRequested as stop:
                return stop.code != 143
        return True


def everything(out: Path) -> dict[str, Tensor]:
    """All tensors of the newest checkpoints of both stages and of the model."""
    found = {}
    for folder in ("checkpoints", "checkpoints_uncertainty"):
        if (out / folder).is_dir():
            newest = max((out / folder).glob("step_*"))
            for path in sorted(newest.glob("*.safetensors")):
                tensors = load_file(path)
                found |= {f"{folder}/{path.name}/{name}": t for name, t in tensors.items()}
    if (out / "model.safetensors").exists():
        model = load_file(out / "model.safetensors")
        found |= {f"model/{name}": tensor for name, tensor in model.items()}
    return found


def differing(first: dict[str, Tensor], second: dict[str, Tensor]) -> list[str]:
    """The names whose tensors are not the same to the bit."""
    names = first.keys() | second.keys()
    return sorted(
        name
        for name in names
        if name not in first or name not in second or not torch.equal(first[name], second[name])
    )


def logged(out: Path) -> list[dict[str, object]]:
    """The log without what depends on the clock."""
    lines = read_log(out / "log.jsonl")
    return [{k: v for k, v in line.items() if k != "steps_per_second"} for line in lines]
