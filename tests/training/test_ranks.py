"""Two ranks do what one does: the same numbers, and a signal to one of them stops both."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from apart import apart
from urface.config import (
    DataSettings,
    ObjectiveSettings,
    TrainSettings,
    UncertaintySettings,
    VariationSettings,
)
from urface.data.frames import Frames
from urface.environment import environment
from urface.losses import identification_loss
from urface.models.urface import build_urface
from urface.training import checkpoint, loop
from urface.training.logs import read_log
from urface.training.loop import train_embedding
from urface.training.signals import StopRequested
from urface.training.train import train, training_faces
from urface.training.uncertainty import train_uncertainty
from urface.types import UserError

from .conftest import Settings
from .forked import together
from .frozen import frozen_model

RANKS = 2
LOGITS = torch.linspace(-3, 4, 20).view(4, 5)
LABELS = torch.tensor([0, 4, 2, 2])


def both_stages(settings: TrainSettings) -> None:
    """Three steps of each stage; what they give is in the checkpoint, the log and head.json."""
    env = environment(settings.run)
    model = frozen_model(settings)
    frames = Frames(training_faces(settings), settings.model.frame_size, progress=False)
    train_embedding(settings, model, frames, env, False)
    train_uncertainty(settings, model, frames, env, False)
    assert model.uncertainty_head is not None
    head = {name: value.tolist() for name, value in model.uncertainty_head.state_dict().items()}
    Path(settings.run.out, "head.json").write_text(json.dumps(head))


def in_folder(settings: TrainSettings, out: Path) -> TrainSettings:
    return replace(settings, run=replace(settings.run, out=str(out)))


def on_rank(settings: TrainSettings, folder: str, rank: int) -> dict[str, Any]:
    found: dict[str, Any] = {"loss": identification_loss(LOGITS, LABELS, 1.5).item()}
    both_stages(in_folder(settings, Path(folder, "two")))
    in_parts = replace(settings, optim=replace(settings.optim, accumulate=2))
    both_stages(in_folder(in_parts, Path(folder, "parts")))

    alone = replace(settings, data=replace(settings.data, identities=1))
    frames = Frames(training_faces(alone), settings.model.frame_size, progress=False)
    try:
        model = build_urface(alone.model, alone.objective)
        train_uncertainty(alone, model, frames, environment(alone.run), progress=False)
    except UserError as error:
        found["refused"] = str(error)

    if rank == 1:
        plain = loop.schedule

        def schedule_and_signal(step, *rest):  # type: ignore[no-untyped-def]
            if step == 4:
                os.kill(os.getpid(), signal.SIGTERM)
            return plain(step, *rest)

        loop.schedule = schedule_and_signal  # type: ignore[assignment]
    started = time.monotonic()
    endless = replace(
        in_folder(settings, Path(folder, "signal")), optim=replace(settings.optim, epochs=4000)
    )
    try:
        train(endless, progress=False)
    except StopRequested as stop:
        found["stopped"] = [stop.code, time.monotonic() - started]
    return found


def ranks(settings: TrainSettings, folder: str) -> list[dict[str, Any]]:
    """What each of the ranks found."""
    return together(RANKS, Path(folder), partial(on_rank, settings, folder))


@pytest.fixture(scope="module")
def plan(
    tmp_path_factory: pytest.TempPathFactory, faces_folder: Path, settings: Settings
) -> TrainSettings:
    plan = settings(
        tmp_path_factory.mktemp("one"),
        epochs=1.5,
        objective=ObjectiveSettings("confidence", 2.0, decorrelate=("low_resolution", "occlusion")),
        variations=VariationSettings(low_resolution=0.5, occlusion=0.5),
        # Three people make one rank work on two of them and the other on one.
        data=DataSettings(train=str(faces_folder), identities=3),
    )
    uncertainty = UncertaintySettings(3, identities=4, images_per_identity=3, learning_rate=1e-4)
    run = replace(plan.run, checkpoint_every=1000)
    # Small steps: large ones double the rounding of the step before instead of passing it on.
    optim = replace(plan.optim, learning_rate=0.0001)
    return replace(plan, uncertainty=uncertainty, run=run, optim=optim)


@pytest.fixture(scope="module")
def runs(
    plan: TrainSettings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, list[dict]]:
    """The folders of one rank and of two, and what each of the two found; ended after two minutes."""
    both_stages(plan)
    folder = tmp_path_factory.mktemp("ranks")
    results = apart(ranks, plan, str(folder), seconds=120)
    return Path(plan.run.out), folder, results


def test_the_door_to_the_loss_is_local_within_a_group(runs: tuple[Path, Path, list[dict]]) -> None:
    expected = identification_loss(LOGITS, LABELS, 1.5).item()
    assert [found["loss"] for found in runs[2]] == [pytest.approx(expected, rel=1e-6)] * RANKS


@pytest.mark.parametrize("kind", ["two", "parts"])
def test_two_ranks_take_the_steps_of_one(runs: tuple[Path, Path, list[dict]], kind: str) -> None:
    """With their share of a batch in one part or in two."""
    one, folder, _ = runs
    logs = [
        [line["L_idt"] for line in read_log(path / "log.jsonl") if line["stage"] == "embedding"]
        for path in (one, folder / kind)
    ]
    assert len(logs[0]) == 3
    assert logs[1] == pytest.approx(logs[0], rel=1e-6)
    a, b = (checkpoint.load_latest(path / "checkpoints") for path in (one, folder / kind))
    assert a is not None
    assert b is not None
    assert a.step == b.step == 3
    assert [len(found.parts) for found in (a, b)] == [1, 2]
    for name, value in a.shared.items():
        if value.is_floating_point():
            torch.testing.assert_close(b.shared[name], value, rtol=1e-6, atol=1e-6, msg=name)
    for name in a.parts[0]:
        joined, value = torch.cat([part[name] for part in b.parts]), a.parts[0][name]
        # The raw prototypes are of length 0.06, so their gradients are as much larger than the others'.
        atol = 1e-6 * max(1.0, float(value.abs().max()))
        torch.testing.assert_close(joined, value, rtol=1e-6, atol=atol, msg=name)
    assert not torch.equal(a.shared["classifier/weight"], torch.zeros(2, 4, 8))


def test_uneven_shares_of_pairs_give_the_uncertainty_of_one_rank(
    runs: tuple[Path, Path, list[dict]],
) -> None:
    one, folder, _ = runs
    logs = [
        [line["L_unc"] for line in read_log(path / "log.jsonl") if line["stage"] == "uncertainty"]
        for path in (one, folder / "two")
    ]
    assert logs[1] == pytest.approx(logs[0], rel=1e-6)
    heads = [json.loads((path / "head.json").read_text()) for path in (one, folder / "two")]
    for name, value in heads[0].items():
        torch.testing.assert_close(
            torch.tensor(heads[1][name]), torch.tensor(value), rtol=1e-6, atol=1e-6
        )


def test_fewer_people_than_ranks_are_refused(runs: tuple[Path, Path, list[dict]]) -> None:
    for found in runs[2]:
        assert found["refused"].startswith("stage two has 1 people a step for 2 ranks: ")


def test_a_signal_to_one_rank_saves_and_stops_both(runs: tuple[Path, Path, list[dict]]) -> None:
    _, folder, results = runs
    for found in results:
        code, seconds = found["stopped"]
        assert code == 143
        assert seconds < 30
    saved = checkpoint.load_latest(folder / "signal" / "checkpoints")
    assert saved is not None
    assert saved.step == 5
    assert len(saved.parts) == RANKS
