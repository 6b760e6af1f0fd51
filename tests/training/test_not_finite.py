"""A number that is not finite changes nothing, stops, and names its image (reliability goal G8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.conftest import Settings
from training.steps import differing, everything, logged, watched
from urface.config import ModelSettings, ObjectiveSettings, TrainSettings
from urface.data.frames import Frames
from urface.environment import environment
from urface.losses.objective import Terms
from urface.models.urface import URFace, build_urface
from urface.training import loop
from urface.training import step as step_module
from urface.training.diagnosis import TrainingStopped
from urface.training.rollback import FILE, MOST, Plan, leave_out, planned
from urface.training.train import train, training_faces
from urface.types import FaceBatch, UserError

ROW = 5
TINY = ModelSettings("tiny", 64, 66, 32, 4, 16.0, (1.0, 64.0))


class Spoiled:
    """Spoils one step with ``value`` in the input, the loss or the gradient."""

    def __init__(self, where: str, value: float, step: int, model: URFace) -> None:
        self.where, self.value, self.step = where, value, step
        self.model = model
        self.begun = -1
        self.before: dict[str, Tensor] = {}
        self.batch: list[int] = []

    def watch(self, stage: str, batch: FaceBatch, images: Tensor) -> Tensor:
        self.begun += 1
        self.before = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        if self.begun == self.step:
            self.batch = batch.index.tolist()
            if self.where == "input":
                images = images.float()
                images[ROW, 7, 7, 1] = self.value
        return images

    @contextmanager
    def at_work(self) -> Iterator[None]:
        plain_loss, plain_clip = step_module.objective, loop.clip_gradients

        def objective(settings, means, *rest, **more):  # type: ignore[no-untyped-def]
            terms = plain_loss(settings, means, *rest, **more)
            if self.where == "loss" and self.begun == self.step:
                worse = terms.total + self.value * means[ROW].square().sum()
                return Terms(worse, {**terms.named, "L_idt": worse})
            return terms

        def clip(shared, sharded, limit):  # type: ignore[no-untyped-def]
            shared = list(shared)
            if self.where == "gradient" and self.begun == self.step:
                shared[0].grad.view(-1)[3] = self.value
            return plain_clip(shared, sharded, limit)

        with watched(self.watch), pytest.MonkeyPatch.context() as patch:
            patch.setattr(step_module, "objective", objective)
            patch.setattr(loop, "clip_gradients", clip)
            yield


@pytest.fixture(scope="module")
def frames(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Frames:
    plan = settings(tmp_path_factory.mktemp("frames"))
    return Frames(training_faces(plan), 66, cache_gigabytes=1.0, progress=False)


def spoil(
    settings: Settings, out: Path, frames: Frames, where: str, value: float, step: int
) -> tuple[Spoiled, Exception | None]:
    """Train with a log line every third step; what was spoiled, and how it ended."""
    plan = settings(out, epochs=1, model=TINY)
    plan = replace(plan, run=replace(plan.run, log_every=3))
    torch.manual_seed(0)
    spoiled = Spoiled(where, value, step, build_urface(plan.model, plan.objective))
    with spoiled.at_work():
        try:
            loop.train_embedding(plan, spoiled.model, frames, environment(plan.run), False)
        except TrainingStopped as error:
            return spoiled, error
    return spoiled, None


@pytest.mark.parametrize("step", [2, 3])  # the first is logged, the second not
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["input", "loss", "gradient"])
def test_no_weight_changes_and_the_report_names_step_and_image(
    tmp_path: Path, settings: Settings, frames: Frames, where: str, value: float, step: int
) -> None:
    spoiled, error = spoil(settings, tmp_path, frames, where, value, step)
    assert error is not None
    assert str(error).startswith(f"step {step} of embedding, rank 0: ")
    assert spoiled.begun == step
    for name, parameter in spoiled.model.named_parameters():
        assert torch.equal(parameter, spoiled.before[name]), name
    report = json.loads((tmp_path / "diagnosis_rank0.json").read_text())
    assert report["batch"] == [frames.source.keys[index] for index in spoiled.batch]
    culprit = [frames.source.keys[spoiled.batch[ROW]]]
    lists = [report[f"images_with_non_finite_{what}"] for what in ("pixels", "output", "gradient")]
    if where == "input":  # BatchNorm had spread it over all eight
        assert lists[:2] == [culprit, culprit]
    if where == "loss":
        assert lists == [[], [], culprit]
    if where == "gradient":  # no image is to blame, and none is blamed
        assert lists == [[], [], []]
        assert "the gradient is not finite; the step" in str(error)
    else:
        assert f"first at {culprit[0]}; the step was not applied" in str(error)
    assert not (tmp_path / "checkpoints").exists()


def test_a_loop_that_does_not_look_takes_the_spoiled_step(
    tmp_path: Path, settings: Settings, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same harness on the loop without its check."""
    monkeypatch.setattr(loop, "stop_not_finite", lambda *_: None)
    spoiled, error = spoil(settings, tmp_path, frames, "loss", float("nan"), 2)
    assert error is None
    assert not all(bool(torch.isfinite(p).all()) for p in spoiled.model.parameters())


def poisoned_pair(index: list[int]) -> Callable[[str, FaceBatch, Tensor], Tensor]:
    """Spoils whenever that batch comes again, as a batch that is to blame does."""

    def watch(stage: str, batch: FaceBatch, images: Tensor) -> Tensor:
        if batch.index.tolist() == index:
            images = images.float()
            images[ROW, 7, 7, 1] = float("nan")
        return images

    return watch


def test_a_rollback_is_the_run_that_never_saw_the_batch_in_both_stages(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(name: str) -> TrainSettings:
        made = settings(tmp_path / name, epochs=2, uncertainty=7, model=TINY)
        return replace(made, run=replace(made.run, on_non_finite="rollback"))

    seen: list[tuple[str, list[int]]] = []

    def note(stage: str, batch: FaceBatch, images: Tensor) -> Tensor:
        seen.append((stage, batch.index.tolist()))
        return images

    never = plan("never")
    (tmp_path / "never").mkdir()
    skipped = {"embedding": [7], "uncertainty": [6]}
    (tmp_path / "never" / FILE).write_text(json.dumps(skipped))
    with watched(note):
        train(never, progress=False)
    assert len(seen) == 11 + 6

    with watched(note):  # the batches as they come
        train(settings(tmp_path / "healthy", epochs=2, uncertainty=7, model=TINY), progress=False)
    first, second = seen[17 + 7][1], seen[17 + 12 + 6][1]
    spoilers = [poisoned_pair(first), poisoned_pair(second)]
    with watched(lambda *step: spoilers[1](*step[:2], spoilers[0](*step))):
        train(plan("back"), progress=False)
    assert json.loads((tmp_path / "back" / FILE).read_text()) == skipped
    assert differing(everything(tmp_path / "never"), everything(tmp_path / "back")) == []
    assert logged(tmp_path / "never") == logged(tmp_path / "back")
    told = [line for line in capsys.readouterr().err.splitlines() if "rank 0" in line]
    assert [line.split(", rank")[0] for line in told] == [
        "step 7 of embedding",
        "step 6 of uncertainty",
    ]
    # The schedule waits: the step after has the rate that the skipped one would have had.
    rates = {
        name: {line["step"]: line.get("learning_rate") for line in logged(tmp_path / name)[:12]}
        for name in ("back", "healthy")
    }
    assert 8 not in rates["back"]
    assert rates["back"][9] == rates["healthy"][8]


def test_stage_two_names_its_image_too(tmp_path: Path, settings: Settings) -> None:
    plan = settings(tmp_path, epochs=1, uncertainty=5, model=replace(TINY, sub_embeddings=1))
    plan = replace(plan, objective=ObjectiveSettings("cosface", 0.2))
    keys = training_faces(plan).keys
    batches: list[list[int]] = []

    def watch(stage: str, batch: FaceBatch, images: Tensor) -> Tensor:
        if stage == "uncertainty":
            batches.append(batch.index.tolist())
            if len(batches) == 3:
                images = images.float()
                images[ROW, 0, 0, 0] = float("inf")
        return images

    with watched(watch), pytest.raises(TrainingStopped, match="step 2 of uncertainty") as caught:
        train(plan, progress=False)
    assert f"first at {keys[batches[2][ROW]]};" in str(caught.value)


def test_a_plan_without_skips_is_the_range_and_with_them_counts_updates() -> None:
    assert Plan(3, 9).steps == range(3, 9)
    plan = Plan(2, 8, (4, 7))
    assert plan.steps == [2, 3, 5, 6]
    assert plan.end == 7
    assert [plan.updates(step) for step in plan.steps] == [2, 3, 4, 5]
    assert Plan(8, 8).end == 8


def test_too_many_rollbacks_are_no_rollback(tmp_path: Path) -> None:
    assert all(leave_out(tmp_path, "embedding", step) for step in range(MOST))
    assert not leave_out(tmp_path, "uncertainty", 3)
    assert planned(tmp_path, "embedding", 0, 20).steps == list(range(MOST, 20))
    (tmp_path / FILE).write_text('{"embedding": 3}')
    with pytest.raises(UserError, match="not the list of skipped steps"):
        planned(tmp_path, "embedding", 0, 20)
