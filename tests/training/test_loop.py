"""Training learns, resumes exactly, stops with a diagnosis, and does the same on two ranks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from urface import load
from urface.config import ModelSettings, ObjectiveSettings, RunSettings, as_dict
from urface.training import loop
from urface.training.diagnosis import TrainingStopped
from urface.training.logs import read_log
from urface.training.resume import check_same_settings
from urface.training.train import train
from urface.types import UserError

from .conftest import Settings


def losses(out: Path) -> list[float]:
    return [line["L_idt"] for line in read_log(out / "log.jsonl") if line["stage"] == "embedding"]


def test_training_lowers_the_loss_and_writes_a_model_that_embeds(
    tmp_path: Path, settings: Settings
) -> None:
    path = train(settings(tmp_path, epochs=6, uncertainty=3), progress=False)
    found = losses(tmp_path)
    assert np.mean(found[-4:]) < 0.7 * np.mean(found[:4])
    embedder = load(path)
    faces = embedder.embed(np.zeros((2, 112, 112, 3), np.uint8))
    assert faces.mean.shape == (2, 4, 8)
    assert embedder.facts["identities"] == 8
    # Stage two made a variance of its own: it is no longer the inverse of the confidence.
    assert not np.allclose(faces.variance, 1 / faces.confidence, rtol=0.01)


@pytest.mark.parametrize("kind", ["cosface", "arcface"])
def test_baselines_train_on_the_same_path(tmp_path: Path, settings: Settings, kind: str) -> None:
    single = ModelSettings("small", 64, 66, 32, 1, initial_confidence=16.0)
    plan = settings(
        tmp_path,
        epochs=6,
        model=single,
        objective=ObjectiveSettings(kind, 0.2),  # type: ignore[arg-type]
    )
    train(plan, progress=False)
    found = losses(tmp_path)
    assert np.mean(found[-4:]) < 0.7 * np.mean(found[:4])


def test_a_stopped_run_resumes_to_identical_losses_and_weights(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(settings(tmp_path / "whole"), progress=False)

    class Killed(Exception):
        pass

    step = loop.clip_gradients
    calls = []

    def killed_at_the_eighth(*arguments: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 8:
            raise Killed
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "clip_gradients", killed_at_the_eighth)
    with pytest.raises(Killed):
        train(settings(tmp_path / "cut"), progress=False)
    monkeypatch.undo()
    resumed = train(settings(tmp_path / "cut"), progress=False)

    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")
    first, second = load_file(whole), load_file(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_finished_run_is_left_alone_and_other_settings_are_refused(
    tmp_path: Path, settings: Settings
) -> None:
    path = train(settings(tmp_path, epochs=1), progress=False)
    before = path.stat().st_mtime_ns
    assert train(settings(tmp_path, epochs=1), progress=False) == path
    assert path.stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"optim\.epochs"):
        train(settings(tmp_path, epochs=2), progress=False)


def test_a_run_from_before_a_setting_existed_is_the_same_run(settings: Settings) -> None:
    plan = settings(Path("somewhere"))
    saved = json.loads(json.dumps(as_dict(plan)))
    del saved["variations"]["pose"], saved["objective"]["decorrelate"]
    check_same_settings(plan, saved)
    with pytest.raises(UserError, match=r"variations\.pose 0\.0, not 0\.3"):
        check_same_settings(replace(plan, variations=replace(plan.variations, pose=0.3)), saved)


def test_a_non_finite_loss_stops_with_step_and_images_named_and_no_update(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = settings(tmp_path)
    plain = loop.to_device
    calls = []

    def poisoned(batch, env):  # type: ignore[no-untyped-def]
        calls.append(batch)
        images, labels = plain(batch, env)
        images = images.float()
        if len(calls) == 4:
            images[3, 0, 0, 0] = float("nan")
        return images, labels

    monkeypatch.setattr(loop, "to_device", poisoned)
    with pytest.raises(TrainingStopped, match="step 3 of embedding, rank 0: L_idt"):
        train(plan, progress=False)
    report = json.loads((tmp_path / "diagnosis_rank0.json").read_text())
    assert report["step"] == 3
    assert len(report["batch"]) == 8
    assert report["images_with_non_finite_output"]
    assert not (tmp_path / "model.safetensors").exists()


def test_a_gradient_that_is_not_finite_stops_too(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "clip_gradients", lambda *_: torch.tensor(float("inf")))
    with pytest.raises(TrainingStopped, match="the gradient is not finite"):
        train(settings(tmp_path), progress=False)


def run_cli(plan_out: Path, folder: Path, *, ranks: int = 1, steps: float = 3) -> list[str]:
    arguments = [
        "train",
        f"--data.train={folder}",
        f"--run.out={plan_out}",
        "--run.precision=fp32",
        "--run.threads=1",
        "--run.log_every=1",
        "--run.checkpoint_every=5",
        "--model.backbone=small",
        "--model.input_size=64",
        "--model.frame_size=66",
        "--model.embedding_dim=32",
        "--model.sub_embeddings=4",
        "--model.initial_confidence=16",
        "--objective.margin=2",
        "--optim.batch_size=8",
        f"--optim.epochs={steps}",
        "--optim.learning_rate=0.02",
        "--uncertainty.steps=2",
        "--uncertainty.identities=4",
        "--uncertainty.images_per_identity=2",
    ]
    if ranks == 1:
        return [sys.executable, "-m", "urface", *arguments]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return [sys.executable, *launcher, "-m", "urface", *arguments]


def test_sigterm_saves_a_checkpoint_and_exits_with_143(tmp_path: Path, faces_folder: Path) -> None:
    command = run_cli(tmp_path, faces_folder, steps=4000)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    log = tmp_path / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) > 2):
        assert process.poll() is None, "ended before it was asked to"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"run again to go on" in out
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    manifest = json.loads((newest / "manifest.json").read_text())
    last = read_log(log)[-1]["step"]
    assert manifest["step"] == last


def test_two_ranks_train_and_their_checkpoint_resumes_on_one(
    tmp_path: Path, faces_folder: Path
) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = run_cli(tmp_path, faces_folder, ranks=2)
    done = subprocess.run(command, env=environment, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert load(tmp_path / "model.safetensors").facts["machine"]["ranks"] == 2
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    parts = [load_file(newest / f"rank_0000{rank}.safetensors") for rank in (0, 1)]
    assert [len(part["prototypes"]) for part in parts] == [4, 4]
    # The last checkpoint is taken up by a single process, which has only stage two left to do.
    (tmp_path / "model.safetensors").unlink()
    again = subprocess.run(run_cli(tmp_path, faces_folder), capture_output=True, timeout=240)
    assert again.returncode == 0, again.stderr.decode()[-2000:]


def test_ranks_must_divide_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urface.distributed.world_size", lambda: 3)
    with pytest.raises(UserError, match="not a multiple of the 3 ranks"):
        loop.rank_part(8)
    with pytest.raises(UserError, match=r"leaves a rank 1 image, .* at least 6"):
        loop.rank_part(3)


def test_a_finished_run_does_not_pass_for_one_of_another_stage_two(
    tmp_path: Path, settings: Settings
) -> None:
    plan = settings(tmp_path, epochs=1)
    plan = replace(plan, uncertainty=replace(plan.uncertainty, steps=0))
    path = train(plan, progress=False)
    assert train(plan, progress=False) == path
    other = replace(plan, uncertainty=replace(plan.uncertainty, steps=2))
    with pytest.raises(UserError, match=r"uncertainty\.steps 0, not 2: delete it"):
        train(other, progress=False)
    path.unlink()  # as it was told: stage one is not done again
    train(other, progress=False)


def test_what_a_resumed_run_may_change_is_where_it_runs(tmp_path: Path, settings: Settings) -> None:
    train(settings(tmp_path, epochs=1), progress=False)
    plan = settings(tmp_path, epochs=1)
    moved = replace(plan.run, log_every=7, threads=2)
    assert isinstance(moved, RunSettings)
    train(replace(plan, run=moved), progress=False)
    (tmp_path / "model.safetensors").unlink()  # on to the checkpoint
    roomier = replace(plan.data, corrupt_share=0.5, cache_gigabytes=0.0, workers=1)
    train(replace(plan, data=roomier), progress=False)


def test_a_refused_run_leaves_the_settings_of_the_one_before(
    tmp_path: Path, settings: Settings
) -> None:
    plan = settings(tmp_path, epochs=1, uncertainty=2)
    train(plan, progress=False)
    (tmp_path / "model.safetensors").unlink()
    written = (tmp_path / "settings.json").read_text()
    for other in (
        replace(plan, optim=replace(plan.optim, learning_rate=0.5)),
        replace(plan, uncertainty=replace(plan.uncertainty, learning_rate=0.5)),
    ):
        with pytest.raises(UserError, match=r"learning_rate 0.0\d+, not 0.5"):
            train(other, progress=False)
        assert (tmp_path / "settings.json").read_text() == written
