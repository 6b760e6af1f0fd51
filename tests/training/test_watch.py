"""The loop does not wait for the device between two lines of the log, and still applies no bad step."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from urface.config import ObjectiveSettings, TrainSettings, VariationSettings
from urface.data.frames import Frames
from urface.environment import environment
from urface.models.urface import build_urface
from urface.training import loop
from urface.training.diagnosis import TrainingStopped
from urface.training.train import training_faces

from .conftest import Settings


class Ended(Exception):
    """Ends a run at a chosen step."""


@pytest.fixture
def plan(tmp_path: Path, settings: Settings) -> TrainSettings:
    """All terms of the loss, and no line in the log before the end."""
    plain = settings(
        tmp_path,
        objective=ObjectiveSettings("confidence", 2.0, decorrelate=("low_resolution", "occlusion")),
        variations=VariationSettings(low_resolution=0.5, occlusion=0.5),
    )
    model = replace(plain.model, backbone="tiny")
    return replace(
        plain, model=model, run=replace(plain.run, log_every=1000, checkpoint_every=1000)
    )


def states(plan: TrainSettings) -> tuple[Exception | None, dict[str, Tensor]]:
    """How training ended, and all parameters then."""
    torch.manual_seed(0)
    model = build_urface(plan.model, plan.objective)
    frames = Frames(training_faces(plan), plan.model.frame_size, progress=False)
    ended: Exception | None = None
    try:
        loop.train_embedding(plan, model, frames, environment(plan.run), progress=False)
    except (Ended, TrainingStopped) as error:
        ended = error
    return ended, {name: p.detach().clone() for name, p in model.named_parameters()}


def poison(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Make a pixel of step ``at`` a NaN."""
    plain, calls = loop.to_device, []

    def poisoned(batch: Any, env: Any) -> tuple[Tensor, Tensor]:
        images, labels = plain(batch, env)
        calls.append(1)
        if len(calls) == at + 1:
            images = images.float()
            images[3, 0, 0, 0] = torch.nan
        return images, labels

    monkeypatch.setattr(loop, "to_device", poisoned)


def end_at(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    plain = loop.schedule

    def ending(step: int, *rest: Any) -> float:
        if step == at:
            raise Ended
        return plain(step, *rest)

    monkeypatch.setattr(loop, "schedule", ending)


def test_a_step_whose_answer_comes_late_is_not_applied_and_is_named(
    plan: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU. The control applies the update without looking: its parameters are not finite."""
    end_at(monkeypatch, 3)
    monkeypatch.setattr(loop, "reads_late", lambda *_: True)
    _, before = states(plan)
    monkeypatch.undo()

    poison(monkeypatch, 3)
    monkeypatch.setattr(loop, "reads_late", lambda *_: True)
    ended, after = states(plan)
    assert str(ended).startswith("step 3 of embedding, rank 0: L_idt")
    report = json.loads((Path(plan.run.out) / "diagnosis_rank0.json").read_text())
    assert report["step"] == 3
    assert report["images_with_non_finite_output"]
    assert all(torch.equal(after[name], before[name]) for name in before)
    monkeypatch.undo()

    poison(monkeypatch, 3)
    end_at(monkeypatch, 4)
    monkeypatch.setattr(loop, "reads_late", lambda *_: True)
    monkeypatch.setattr(loop, "update", lambda optimizer, skip: optimizer.step())
    _, naive = states(plan)
    assert not all(bool(torch.isfinite(value).all()) for value in naive.values())


def test_what_came_late_is_read_before_anything_is_written(
    plan: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 3)
    monkeypatch.setattr(loop, "reads_late", lambda *_: True)
    ended, _ = states(replace(plan, run=replace(plan.run, checkpoint_every=4)))
    assert str(ended).startswith("step 3 of embedding")
    assert not (Path(plan.run.out) / "checkpoints").exists()


def test_late_and_immediate_answers_give_the_same_run(
    plan: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_at(monkeypatch, 6)
    plan = replace(plan, optim=replace(plan.optim, classifier_rate=1e-9))  # its Adam would round
    _, at_once = states(plan)
    monkeypatch.setattr(loop, "reads_late", lambda *_: True)
    _, late = states(plan)
    for name, value in at_once.items():
        torch.testing.assert_close(late[name], value, rtol=1e-6, atol=1e-7)


# What makes the processor wait for a GPU: a number read back, or a shape that depends on values.
WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select")
# On a CPU, where nothing is waited for, it looks whether every label is a class.
LOSSES = ("losses/tiled.py:_of_classes",)


class Waits(TorchDispatchMode):
    """Notes where urface asks for what a device would have to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.places: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # the signature is torch's
        boolean = func.overloadpacket._qualified_op_name == "aten::index" and any(
            index is not None and index.dtype is torch.bool for index in args[1]
        )
        if boolean or func.overloadpacket.__name__ in WAITS:
            ours = [f for f in traceback.extract_stack() if "/urface/" in f.filename]
            if ours:
                place = ours[-1].filename.rsplit("/urface/", 1)[1]
                self.places.add(f"{place}:{ours[-1].name}")
        return func(*args, **(kwargs or {}))


def waits(plan: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    end_at(monkeypatch, 4)
    with Waits() as found:
        ended, _ = states(plan)
    assert isinstance(ended, Ended)
    return {place for place in found.places if not place.startswith(LOSSES)}


def test_no_step_between_two_lines_waits_for_the_device(
    plan: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "reads_late", lambda *_: True)
    assert waits(plan, monkeypatch) == set()


def test_a_loop_that_reads_its_norm_is_found_out(
    plan: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    clip: Callable[..., Tensor] = loop.clip_gradients

    def read(*arguments: Any) -> Tensor:
        norm = clip(*arguments)
        return norm if norm.item() >= 0 else -norm

    monkeypatch.setattr(loop, "reads_late", lambda *_: True)
    monkeypatch.setattr(loop, "clip_gradients", read)
    assert waits(plan, monkeypatch) == {"training/loop.py:train_embedding"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_not_waited_for_between_two_lines(
    plan: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(plan, run=replace(plan.run, device="cuda"))
    plain, update, calls = loop.differentiate, loop.update, []

    def watched(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) > 3:  # the first steps load kernels
            torch.cuda.set_sync_debug_mode("error")
        return plain(*arguments)

    def unwatched(*arguments: Any) -> None:
        update(*arguments)
        torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(loop, "differentiate", watched)
    monkeypatch.setattr(loop, "update", unwatched)
    end_at(monkeypatch, 8)
    env = environment(plan.run)
    model = build_urface(plan.model, plan.objective).to(env.device)
    frames = Frames(training_faces(plan), plan.model.frame_size, progress=False)
    try:
        with pytest.raises(Ended):
            loop.train_embedding(plan, model, frames, env, progress=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")
