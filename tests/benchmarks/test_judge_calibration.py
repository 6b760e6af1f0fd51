"""Claims about a calibration fitted on one benchmark and judged on another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.made_up import OnDisk, all_pairs
from urface.benchmarks.benchmark import Benchmark, ImageSet, SearchTask, Templates
from urface.benchmarks.calibrated import (
    DISJOINT,
    OVERLAP,
    SAME,
    Calibrated,
    read_calibrations,
    write_calibrations,
)
from urface.benchmarks.evaluate import Options, evaluate
from urface.benchmarks.fit_calibration import fit_for, fit_on
from urface.metrics.calibration import fit_calibration, transfer_threshold
from urface.metrics.reliability import reliability
from urface.types import UserError

COUNT, PEOPLE = 80, 8
OPTIONS = Options(bootstrap=50)


def made(name: str, first: int = 0, measures: tuple[str, ...] = ("auc",)) -> Benchmark:
    """All pairs of 80 images called <first>.jpg and on."""
    keys = [f"{first + place}.jpg" for place in range(COUNT)]
    subjects = np.arange(COUNT) % PEOPLE
    images = ImageSet(keys, lambda place: np.zeros((1, 1, 3), np.uint8))
    task = all_pairs(subjects, measures)
    return Benchmark(name, "1", images, Templates.of_images(keys, subjects), (task,)).check()


def model() -> OnDisk:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(PEOPLE, 12))[np.arange(240) % PEOPLE]
    values = (values + 1.3 * rng.normal(size=(240, 12))).astype(np.float32)
    return OnDisk([f"{place}.jpg" for place in range(240)], values)


def scores(first: int) -> np.ndarray:
    values = model().vectors[first : first + COUNT].astype(np.float64)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    left, right = np.triu_indices(COUNT, 1)
    return (values[left] * values[right]).sum(1)


def fitted(method: str = "logistic", prior: float = 0.5) -> Calibrated:
    return fit_on(made("base"), model(), OPTIONS, method, prior, (1e-5, 0.02), progress=False)


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_it_is_fitted_on_one_set_and_judged_on_the_other(method: str):
    calibrated, other = fitted(method), made("other", COUNT)
    result = evaluate(other, model(), replace(OPTIONS, calibrated=calibrated), progress=False)
    (row,) = result.rows("calibration")
    same = other.pairs[0].same
    fit = fit_calibration(scores(0), same, method, 0.5).at_prior(float(same.mean()))
    left, right = np.triu_indices(COUNT, 1)
    people = np.stack([left % PEOPLE, right % PEOPLE], 1)
    expected = reliability(fit.probability(scores(COUNT)), same, people, resamples=50)
    assert row["reliability"]["ece"] == pytest.approx(expected.ece, abs=1e-3)
    assert row["reliability"]["brier"] == pytest.approx(expected.brier, abs=1e-3)
    assert row["reliability"]["ece_low"] <= expected.ece <= row["reliability"]["ece_high"]
    assert row["prior"] == pytest.approx(same.mean())
    assert row["fitted_on"]["prior"] == 0.5
    assert (row["relation"], row["shared_keys"]) == (DISJOINT, 0)
    few, enough = row["thresholds"]
    assert few["threshold"] is None
    assert "where it was set" in few["fmr"]["reason"]
    moved = transfer_threshold(scores(0), same, scores(COUNT), same, 0.02)
    assert enough["fmr"]["events"] == pytest.approx(moved.fmr.events, abs=1)
    assert enough["fnmr"]["events"] == pytest.approx(moved.fnmr.events, abs=1)
    assert enough["held"] == moved.held


def test_it_is_said_whether_the_data_are_the_same_overlap_or_are_disjoint():
    calibrated = replace_keys = fitted()
    found = []
    for source in (made("base"), made("half", COUNT // 2), made("other", COUNT)):
        options = replace(OPTIONS, calibrated=replace_keys)
        (row,) = evaluate(source, model(), options, progress=False).rows("calibration")
        found.append((row["relation"], row["shared_keys"]))
    assert found == [(SAME, COUNT), (OVERLAP, COUNT // 2), (DISJOINT, 0)]
    assert calibrated.tasks == ("all",)


def test_many_impostor_pairs_are_drawn_and_the_prior_moves_with_them(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("urface.benchmarks.judge_calibration.MOST_PAIRS", 1500)
    options = replace(OPTIONS, calibrated=fitted())
    (row,) = evaluate(made("other", COUNT), model(), options, progress=False).rows("calibration")
    genuine = int(made("other").pairs[0].same.sum())
    assert row["drawn"] == 1500 - genuine
    assert row["prior"] == pytest.approx(genuine / 1500)
    assert row["reliability"]["trials"] == 1500
    assert row["thresholds"][1]["fmr"]["trials"] == 80 * 79 // 2 - genuine


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_a_file_gives_it_back(method: str, tmp_path: Path):
    first = fitted(method)
    write_calibrations([first], tmp_path / "c.json")
    (again,) = read_calibrations(tmp_path / "c.json")
    assert again.to_dict() == first.to_dict()
    given = scores(COUNT)
    assert np.array_equal(again.fit.probability(given), first.fit.probability(given))
    assert fit_for([again], model(), OPTIONS, "c.json") is again
    for other in (replace(OPTIONS, score="likelihood"), replace(OPTIONS, flip="sum")):
        with pytest.raises(UserError, match=r"c\.json: no calibration of on disk"):
            fit_for([again], model(), other, "c.json")


def damaged(change: dict[str, object]) -> str:
    values = fitted().to_dict() | change
    return json.dumps({"format": "urface-calibration-1", "calibrations": [values]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '{"format": "urface-calibration-1"}',
        '{"format": "urface-calibration-1", "calibrations": [{}]}',
        '{"format": "urface-calibration-1", "calibrations": [7]}',
        {"keys": "***"},
        {"fit": {"method": "logistic", "prior": 2.0}},
        {"fit": {"method": "isotonic", "prior": 0.5, "scores": [1, 0], "values": [0, 1]}},
        {"thresholds": [{}]},
        {"odd": 1},
    ],
)
def test_another_file_is_refused(text: str | dict[str, object], tmp_path: Path):
    path = tmp_path / "c.json"
    path.write_text(text if isinstance(text, str) else damaged(text))
    with pytest.raises(UserError, match=r"c\.json"):
        read_calibrations(path)


def test_a_search_has_nothing_to_calibrate_on_or_to_judge():
    task = SearchTask("s", np.arange(8), np.arange(8, COUNT), ("rank1",))
    searches = replace(made("s", COUNT), pairs=(), searches=(task,))
    with pytest.raises(UserError, match="has no pairs to calibrate on"):
        fit_on(searches, model(), OPTIONS, progress=False)
    result = evaluate(searches, model(), replace(OPTIONS, calibrated=fitted()), progress=False)
    assert "this is a search" in result.rows("calibration")[0]["reason"]
