"""Claims about trainings in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reproduce.conftest import Plan
from urface.models.files import load_model
from urface.reproduce import side_by_side
from urface.reproduce.grid import plans
from urface.reproduce.rows import chosen
from urface.reproduce.side_by_side import Job, train_side_by_side
from urface.training.signals import StopRequested, Termination
from urface.training.train import train
from urface.types import UserError


def jobs_of(plan: Plan, people: Path, out: Path, *rows: str) -> dict[str, Job]:
    settings = plan(rows=rows, out=str(out))
    settings.settings.data.train = str(people)
    return {
        name: (found.settings, found.embedding)
        for name, found in plans(settings, chosen(settings.rows)).items()
    }


def test_two_at_a_time_make_the_models_that_one_after_the_other_makes(
    plan: Plan, people: tuple[Path, Path], tmp_path: Path
) -> None:
    together = jobs_of(plan, people[0], tmp_path / "together", "pfe", "confidence")
    assert list(together) == ["cosface_seed0", "pfe_seed0", "confidence_seed0"]
    train_side_by_side(together, 2, progress=False)
    for name, (settings, embedding) in jobs_of(
        plan, people[0], tmp_path / "apart", "pfe", "confidence"
    ).items():
        alone = replace(settings, run=replace(settings.run, threads=1))
        path = train(alone, progress=False, embedding=embedding)
        expected = load_model(path)[0].state_dict()
        found = load_model(tmp_path / "together/models" / name / path.name)[0].state_dict()
        assert all(bool((found[key] == value).all()) for key, value in expected.items())


def test_a_training_that_fails_is_named_and_stops_the_rest(
    plan: Plan, people: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs = jobs_of(plan, people[0], tmp_path, "cosface", "confidence")
    settings = jobs["cosface_seed0"][0]
    missing = replace(settings, data=replace(settings.data, train=str(tmp_path / "nowhere")))
    long = jobs["confidence_seed0"][0]
    endless = replace(long, optim=replace(long.optim, epochs=100_000))
    broken: dict[str, Job] = {
        "cosface_seed0": (missing, None),
        "confidence_seed0": (endless, None),
    }
    with pytest.raises(UserError, match="cosface_seed0 ended with 2"):
        train_side_by_side(broken, 2, progress=False)
    assert "nowhere: nothing there" in capfd.readouterr().err


def test_the_trainings_have_the_time_to_save_that_they_were_given(
    plan: Plan, people: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(plan, people[0], tmp_path, "cosface", "confidence")
    for seconds, (name, (settings, embedding)) in zip((20.0, 200.0), jobs.items(), strict=False):
        jobs[name] = replace(settings, run=replace(settings.run, stop_seconds=seconds)), embedding
    given: list[float] = []

    @contextmanager
    def stopped(seconds: float = 30.0) -> Iterator[Termination]:
        given.append(seconds)
        yield Termination(True)

    monkeypatch.setattr(side_by_side, "catch_termination", stopped)
    monkeypatch.setattr(side_by_side, "_ready", lambda job: False)
    with pytest.raises(StopRequested):
        train_side_by_side(jobs, 2, progress=False)
    assert given[0] > 200


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from urface.config import TrainSettings
from urface.commands.settings import read_settings
from urface.reproduce.side_by_side import train_side_by_side

if __name__ == "__main__":
    jobs = {}
    for name in ("a", "b"):
        arguments = [*sys.argv[2:], "--run.out", f"{sys.argv[1]}/{name}"]
        jobs[name] = (read_settings(TrainSettings, "", "", "", arguments), None)
    train_side_by_side(jobs, 2, False)
"""


def test_sigterm_makes_every_training_save_and_ends_with_143(
    people: tuple[Path, Path], tmp_path: Path
) -> None:
    script = tmp_path / "side_by_side.py"
    script.write_text(SCRIPT)
    settings = {
        "data.train": people[0],
        "model.backbone": "small",
        "model.input_size": 64,
        "model.frame_size": 64,
        "model.embedding_dim": 32,
        "model.sub_embeddings": 4,
        "optim.batch_size": 16,
        "optim.epochs": 100_000,
        "optim.learning_rate": 0.001,
        "run.log_every": 1,
    }
    arguments = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    logs = [tmp_path / name / "log.jsonl" for name in ("a", "b")]
    try:
        deadline = time.monotonic() + 300
        while not all(log.is_file() and log.stat().st_size for log in logs):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 143
    finally:
        process.kill()
        process.wait()
    for name in ("a", "b"):
        assert list((tmp_path / name / "checkpoints").glob("step_*/manifest.sha256"))
