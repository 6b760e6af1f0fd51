"""A loss that leaves what it was raises an alert, a healthy one almost never (reliability goal G9)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.conftest import Settings
from training.steps import Recorded
from urface.config import ModelSettings
from urface.training.spikes import FEWEST, SpikeDetector, SpikeWatch

STEPS = 20_000


def falling(random: np.random.Generator) -> np.ndarray:
    return 12 * np.exp(-np.arange(STEPS) / 6000) + 2 + random.normal(0, 0.15, STEPS)


def skewed(random: np.random.Generator) -> np.ndarray:
    """Means of 64 losses that are each exponential."""
    return random.gamma(64, 1 / 64, STEPS)


def lazy(random: np.random.Generator) -> np.ndarray:
    """Each loss remembers the last."""
    values, level = np.empty(STEPS), 0.0
    for step, noise in enumerate(random.normal(0, 0.1, STEPS)):
        level = 0.9 * level + noise
        values[step] = 5 + level
    return values


def stepped(random: np.random.Generator) -> np.ndarray:
    """The rate falls by ten twice, and an epoch shows."""
    steps = np.arange(STEPS)
    level = np.select([steps < 10_000, steps < 16_000], [6.0, 4.0], 3.5)
    return level + 0.1 * np.sin(steps / 300) + random.normal(0, 0.12, STEPS)


def resting(random: np.random.Generator) -> np.ndarray:
    """Memorised data: nothing is left but rounding."""
    return 1e-3 * (1 + random.normal(0, 1e-5, STEPS))


HEALTHY = [falling, skewed, lazy, stepped, resting]


def alarms(losses: np.ndarray) -> list[int]:
    detector = SpikeDetector()
    return [step for step, loss in enumerate(losses.tolist()) if detector.is_spike(loss)]


def fixed_share(losses: np.ndarray) -> list[int]:
    """The control: what is often done, an alarm at half as much again as a running mean."""
    found, mean = [], float(losses[0])
    for step, loss in enumerate(losses.tolist()):
        if step > FEWEST and loss > 1.5 * mean:
            found.append(step)
        mean += 0.01 * (loss - mean)
    return found


def test_a_hundred_thousand_healthy_steps_raise_at_most_one_alert() -> None:
    found = [alarms(make(np.random.default_rng(9))) for make in HEALTHY]
    assert sum(map(len, found)) <= 1


def one(size: float) -> Callable[[np.ndarray, int, float], None]:
    def put(losses: np.ndarray, at: int, sigma: float) -> None:
        losses[at] += size * sigma

    return put


def bump(losses: np.ndarray, at: int, sigma: float) -> None:
    losses[at : at + 40] += 9 * sigma * np.exp(-np.arange(40) / 12)


def departure(losses: np.ndarray, at: int, sigma: float) -> None:
    losses[at:] += 0.8 * sigma * np.arange(len(losses) - at)


def not_a_number(losses: np.ndarray, at: int, sigma: float) -> None:
    losses[at] = np.nan


SPIKES = [(kind, make) for kind in (one(10), bump, departure, not_a_number) for make in HEALTHY]


def test_twenty_of_twenty_spikes_are_seen_and_the_control_misses_some() -> None:
    seen = control = 0
    for number, (put, make) in enumerate(SPIKES):
        random = np.random.default_rng(100 + number)
        losses = make(random)[: 6000 + 997]
        at = 3000 + int(random.integers(2000))
        before = losses[at - 400 : at]
        # The resting loss is judged by a thousandth of itself, see SpikeDetector.limit.
        sigma = max(
            float(np.subtract(*np.quantile(before, [0.75, 0.25]))) / 1.349, 1e-3 * before.mean()
        )
        put(losses, at, sigma)
        seen += any(at <= step < at + 60 for step in alarms(losses))
        control += any(at <= step < at + 60 for step in fixed_share(losses))
    assert len(SPIKES) == 20
    assert seen == 20
    assert control < 10


def test_the_limit_is_that_of_a_plain_sort() -> None:
    losses = np.random.default_rng(3).normal(4, 1, 1300)
    detector = SpikeDetector()
    for step, loss in enumerate(losses.tolist()):
        known = np.sort(losses[max(0, step - 500) : step])
        if step < FEWEST:
            assert detector.limit() == float("inf")
        else:
            low, middle, high = (known[int(s * (len(known) - 1))] for s in (0.25, 0.5, 0.75))
            assert detector.limit() == pytest.approx(middle + 6 * (high - low) / 1.349)
        detector.is_spike(loss)


def test_an_alert_is_counted_written_and_told_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = SpikeWatch(tmp_path, "embedding")
    random = np.random.default_rng(0)
    for step in range(200):
        high = 60.0 if 150 <= step < 160 else 0.0
        watch.note(step, torch.tensor(5 + high + random.normal(0, 0.1), requires_grad=True))
        if step % 20 == 19:
            watch.look()
    assert watch.look() == 1
    lines = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [150]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("alert: loss 64.97 at step 150 of embedding")


def test_a_resumed_run_cuts_the_alerts_of_its_own_stage_that_come_again(tmp_path: Path) -> None:
    alerts = [("embedding", 90), ("embedding", 140), ("uncertainty", 140)]
    path = tmp_path / "alerts.jsonl"
    lines = [json.dumps({"stage": stage, "step": step}) + "\n" for stage, step in alerts]
    path.write_text("".join(lines))
    SpikeWatch(tmp_path, "embedding", 100)
    assert path.read_text() == lines[0] + lines[2]
    SpikeWatch(tmp_path, "uncertainty", 140)
    assert path.read_text() == lines[0] + lines[2]


@pytest.mark.parametrize("at", [1, 4 + 1])
def test_the_last_losses_before_a_signal_are_judged(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """``at`` is the step that the signal comes in, of stage one or of stage two."""
    plan = settings(
        tmp_path,
        epochs=4 / 6,
        uncertainty=4,
        model=ModelSettings("tiny", 64, 66, 32, 4, 16.0, (1.0, 64.0)),
    )
    plan = replace(plan, run=replace(plan.run, log_every=100))
    monkeypatch.setattr(SpikeDetector, "limit", lambda _: -100.0)  # every first loss is a spike
    assert not Recorded().train(plan, at)
    told = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in told] == ["embedding", "uncertainty"][: 1 + at // 4]
