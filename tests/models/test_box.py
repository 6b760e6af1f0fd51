"""Claims about where a model's file is, and about the model in the box."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import urface
from small_model import SETTINGS, one_thread, small_model
from urface.cli import main
from urface.config import ObjectiveSettings
from urface.data.synthetic import render_face
from urface.decision import decision_of
from urface.models.box import model_path, refuse_to_change_the_box
from urface.models.files import load_model, save_model
from urface.recognisers.open import open_recogniser
from urface.types import UserError

__all__ = ["one_thread"]
MEGABYTES = 8


@pytest.fixture(scope="module")
def embedder() -> urface.Embedder:
    return urface.load("demonstration", "cpu", "fp32")


def test_the_word_means_the_box_and_a_path_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(
        "demonstration/model.safetensors",
        small_model(),
        SETTINGS,
        ObjectiveSettings("confidence", 2.0),
        {"mine": 1},
    )
    assert load_model("demonstration")[2].get("mine") is None
    for path in ("./demonstration", Path("demonstration")):
        assert load_model(path)[2] == {"mine": 1}
        assert open_recogniser(path).parts == 4
    assert open_recogniser("demonstration").parts == 16
    assert model_path("x.safetensors") == Path("x.safetensors")


def test_it_is_small_and_says_what_it_is(embedder: urface.Embedder) -> None:
    path = model_path("demonstration")
    assert path.stat().st_size < MEGABYTES << 20
    card = embedder.facts["card"]
    for name in ("recipe", "data", "seed", "figures", "licence", "not_for", "architecture"):
        assert card[name]
    accuracy = card["figures"]["lfw"]["accuracy"]
    assert 0.5 < accuracy["low"] < accuracy["value"] < accuracy["high"] < 0.9
    assert accuracy["trials"] == 6000
    assert "/" not in card["data"]["command"].split()[3]  # no folder of whoever made it
    text = json.dumps(embedder.facts)
    assert "/tmp" not in text


def test_its_answers_say_that_they_are_the_demonstrations(embedder: urface.Embedder) -> None:
    decision = decision_of(embedder.facts)
    assert decision is not None
    assert decision.demonstration
    assert decision.has_probability
    assert "synthetic" in decision.data
    assert {1e-1, 1e-2, 1e-3} <= {point.fmr for point in decision.thresholds}
    assert np.isfinite(decision.unsure_above)


def test_it_tells_new_synthetic_people_apart(embedder: urface.Embedder) -> None:
    """People of a seed that nothing else uses; chance is a half, a broken file no better."""
    people = 30
    faces = [[render_face(991, p, shot, 112).image for p in range(people)] for shot in (0, 1)]
    first, second = (embedder.embed(side) for side in faces)
    scores = np.asarray(urface.score_matrix(first, second))
    own = np.diag(scores)[:, None]
    better = (scores < own).sum() / (people * (people - 1))
    assert better > 0.85


def test_compare_answers_at_the_first_touch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import cv2

    paths = []
    for number in range(2):
        paths.append(str(tmp_path / f"{number}.png"))
        cv2.imwrite(paths[-1], render_face(991, 0, number, 112).image[..., ::-1])
    assert main(["compare", "demonstration", *paths, "--aligned"]) == 0
    text = capsys.readouterr().out
    assert "the demonstration model, trained on made-up faces alone" in text
    assert "probability" in text
    assert main(["compare", "demonstration", *paths, "--aligned", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["demonstration"] is True
    assert 0 <= told["probability"] <= 1


def test_it_cannot_be_calibrated_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    before = model_path("demonstration").read_bytes()
    for data in (["--people", "x"], ["--lfw", "x", "--pairs", "y"]):
        assert main(["evaluate", "demonstration", *data, "--calibrate"]) == 2
        assert "is part of urface and is not changed" in capsys.readouterr().err
    assert model_path("demonstration").read_bytes() == before


def test_a_missing_file_is_one_line() -> None:
    with pytest.raises(UserError, match="no such file"):
        urface.load("demonstratio")


def test_the_model_in_the_box_is_not_changed_by_whatever_name(tmp_path: Path) -> None:
    for path in ("demonstration", model_path("demonstration"), str(model_path("demonstration"))):
        with pytest.raises(UserError, match="is not changed"):
            refuse_to_change_the_box(path)
    refuse_to_change_the_box(tmp_path / "demonstration")
