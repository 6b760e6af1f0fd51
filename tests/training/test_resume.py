"""A run that is stopped again and again is, to the bit, the run that never was (reliability goal G4)."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from training.conftest import Settings
from training.steps import Recorded, differing, everything, logged
from urface.config import ModelSettings, ObjectiveSettings, TrainSettings
from urface.training import checkpoint, train, uncertainty
from urface.types import UserError

FIRST, SECOND, EPOCH = 60, 45, 6  # steps of each stage; 48 images in batches of 8


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> TrainSettings:
    """Everything that has a state: momentum, a classifier with its own Adam, dropout, augmentation."""
    return settings(
        tmp_path_factory.mktemp("resume") / "whole",
        epochs=FIRST / EPOCH,
        model=ModelSettings("tiny", 64, 66, 32, 4, 16.0, (1.0, 64.0), dropout=0.2),
        objective=ObjectiveSettings("confidence", 2.0, decorrelate=("low_resolution", "occlusion")),
        uncertainty=SECOND,
    )


def elsewhere(plan: TrainSettings, name: str) -> TrainSettings:
    out = Path(plan.run.out).with_name(name)
    return replace(plan, run=replace(plan.run, out=str(out), checkpoint_every=25))


@pytest.fixture(scope="module")
def whole(plan: TrainSettings) -> Recorded:
    recorded = Recorded()
    assert recorded.train(plan)
    assert len(recorded.ids) == FIRST + SECOND
    return recorded


def test_seven_stops_leave_every_tensor_sample_and_logged_number_as_they_were(
    plan: TrainSettings, whole: Recorded
) -> None:
    draw = random.Random(4)
    middle = draw.randrange(1, 3) * EPOCH + draw.randrange(1, EPOCH - 1)  # within an epoch
    end = draw.randrange(4, 8) * EPOCH - 1  # the last step of an epoch
    late = FIRST + draw.randrange(5, 30)
    stops = [middle, end, end + 1, FIRST - 1, FIRST, late, late + 1]
    cut, recorded = elsewhere(plan, "cut"), Recorded()
    for stop in stops:
        assert not recorded.train(cut, stop)
        assert len(recorded.ids) == stop + 1
        if stop == middle:
            shutil.copytree(cut.run.out, Path(cut.run.out).with_name("control"))
    assert recorded.train(cut)
    assert recorded.ids == whole.ids
    first, second = (everything(Path(one.run.out)) for one in (plan, cut))
    assert any("torch_random" in name for name in first)
    assert any("optimizer/classifier" in name for name in first)
    assert differing(first, second) == []
    assert logged(Path(plan.run.out)) == logged(Path(cut.run.out))

    # The control: the same harness on a resume that forgets the optimiser's state.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "restore_optimizer", lambda *_: None)
        control, forgetful = elsewhere(plan, "control"), Recorded()
        assert not forgetful.train(control, 3)
    assert forgetful.ids == whole.ids[middle + 1 : middle + 5]
    assert logged(Path(control.run.out)) != logged(Path(plan.run.out))[: middle + 5]


def test_a_signal_after_the_last_step_of_stage_one_stops_stage_two(
    plan: TrainSettings, whole: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes in between, where no loop looks."""
    between, recorded = elsewhere(plan, "between"), Recorded()
    shutil.copytree(plan.run.out, between.run.out)
    (Path(between.run.out) / "model.safetensors").unlink()
    shutil.rmtree(Path(between.run.out) / "checkpoints_uncertainty")
    plain = train.train_uncertainty

    def late(*arguments: object) -> float:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGTERM)
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(train, "train_uncertainty", late)
    assert not recorded.train(between)
    assert len(recorded.ids) == 1
    monkeypatch.undo()
    assert recorded.train(between)
    assert recorded.ids == whole.ids[FIRST:]
    assert differing(everything(Path(plan.run.out)), everything(Path(between.run.out))) == []


def test_a_signal_while_the_model_is_written_ends_with_143_and_the_model(
    plan: TrainSettings, whole: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, recorded = elsewhere(plan, "last"), Recorded()
    shutil.copytree(plan.run.out, last.run.out)
    (Path(last.run.out) / "model.safetensors").unlink()
    plain = train.save_model

    def late(*arguments: object) -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGTERM)
        plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(train, "save_model", late)
    assert not recorded.train(last)
    assert recorded.ids == []
    assert differing(everything(Path(plan.run.out)), everything(Path(last.run.out))) == []


def test_a_checkpoint_of_stage_two_beside_other_weights_or_settings_is_refused(
    plan: TrainSettings, whole: Recorded
) -> None:
    other = elsewhere(plan, "other")
    shutil.copytree(plan.run.out, other.run.out)
    (Path(other.run.out) / "model.safetensors").unlink()
    steeper = replace(other, uncertainty=replace(other.uncertainty, learning_rate=0.5))
    with pytest.raises(UserError, match=r"uncertainty\.learning_rate 0\.001, not 0\.5: delete it"):
        train.train(steeper, progress=False)
    manifest = max((Path(other.run.out) / "checkpoints_uncertainty").iterdir()) / "manifest.json"
    known = json.loads(manifest.read_text())["values"]["frozen"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uncertainty, "tensors_digest", lambda _: "f" * 64)
        with pytest.raises(UserError, match="belongs to a model with other weights"):
            train.train(other, progress=False)
    assert len(known) == 64
