"""Claims about the threshold kept in a model file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import urface
from small_model import SETTINGS, small_model
from urface.config import ObjectiveSettings
from urface.decision import decision_of
from urface.evaluation.calibration import calibrate
from urface.models.files import save_model
from urface.types import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {"step": 7})
    return path


def pairs(impostors: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(3, 1, 200), random.normal(0, 1, impostors)])
    return scores, np.arange(200 + impostors) < 200


def test_the_stored_threshold_lets_no_more_impostors_pass_than_stated(path: Path) -> None:
    before = load_file(path)
    scores, same = pairs(4000)
    scores[[0, 250]] = np.nan
    said = calibrate(path, scores, same, "likelihood", data="made up", false_match_rate=0.01)
    matches = int((scores[~same] >= said["threshold"]).sum())
    assert said["false_matches"] == matches
    assert 30 <= matches <= 0.01 * 4000
    assert said["impostor_pairs"] == 4000
    assert said["true_match_rate"]["events"] == int((scores[same] >= said["threshold"]).sum())
    assert said["true_match_rate"]["trials"] == 200
    facts = urface.load(path, "cpu", "fp32").facts
    assert facts["step"] == 7
    assert facts["calibration"] == said
    decision = decision_of(facts)
    assert decision is not None
    assert decision.threshold_at(0.01) == said["threshold"]
    assert decision.data == "made up"
    after = load_file(path)
    assert before.keys() == after.keys()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


def test_a_second_calibration_takes_the_place_of_the_first(path: Path) -> None:
    scores, same = pairs(4000)
    calibrate(path, scores, same, "likelihood", data="first")
    again = calibrate(path, scores, same, "cosine", data="second", false_match_rate=0.1)
    assert urface.load(path, "cpu", "fp32").facts["calibration"] == again


def test_too_few_impostors_are_refused_and_the_file_left_alone(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"false-match rate of 0\.01: .*30 are needed"):
        calibrate(path, *pairs(2999), "likelihood", data="x")
    assert path.read_bytes() == before


def test_a_threshold_that_accepts_nothing_is_refused_with_a_reason(path: Path) -> None:
    with pytest.raises(UserError, match="accepts nothing"):
        calibrate(path, np.ones(4200), np.arange(4200) < 200, "likelihood", data="x")
