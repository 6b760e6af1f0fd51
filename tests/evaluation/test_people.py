"""Claims about pairs drawn from any people, and about calibrating a model on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import urface
from small_model import one_thread
from urface.cli import main
from urface.decision import decision_of
from urface.evaluation.protocol import many_pairs
from urface.models.box import model_path

__all__ = ["one_thread"]


def test_all_genuine_pairs_and_no_pair_twice() -> None:
    labels = np.array([2, 0, 1, 0, 2, 2, 3])
    drawn = many_pairs(labels)
    pairs = list(zip(drawn.left.tolist(), drawn.right.tolist(), strict=True))
    assert len(set(map(frozenset, pairs))) == len(pairs)
    assert all(
        (labels[a] == labels[b]) == same for (a, b), same in zip(pairs, drawn.same, strict=True)
    )
    every = {frozenset((a, b)) for a in range(7) for b in range(a) if labels[a] == labels[b]}
    assert {frozenset(p) for p, same in zip(pairs, drawn.same, strict=True) if same} == every
    assert int((~drawn.same).sum()) == (21 - 4) // 2  # half of all there are


def test_the_numbers_asked_for_are_drawn() -> None:
    labels = np.repeat(np.arange(50), 10)
    drawn = many_pairs(labels, genuine=300, impostor=5000, seed=1)
    assert (int(drawn.same.sum()), int((~drawn.same).sum())) == (300, 5000)
    again = many_pairs(labels, genuine=300, impostor=5000, seed=1)
    np.testing.assert_array_equal(drawn.left, again.left)
    # Every image of two people has the same chance.
    counts = np.bincount(np.append(drawn.left[300:], drawn.right[300:]), minlength=500)
    assert counts.std() == pytest.approx(np.sqrt(counts.mean()), rel=0.15)


def test_people_without_a_list_of_pairs_calibrate_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    for person in range(60):
        base = random.integers(0, 256, (7, 7, 3))
        folder = tmp_path / "people" / f"p{person:02d}"
        folder.mkdir(parents=True)
        for shot in range(9):
            coarse = np.clip(base + random.normal(0, 40, base.shape), 0, 255).astype(np.uint8)
            image = cv2.resize(coarse, (52, 52), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"{shot}.png"), image)
    path = tmp_path / "model.safetensors"
    shutil.copy(model_path("demonstration"), path)
    out = tmp_path / "judged.json"
    arguments = ["--people", str(tmp_path / "people"), "--data", "patterns", "--json", str(out)]
    small = ["evaluate", str(path), *arguments]
    assert main(small) == 2  # 6 people a fold with 9 images have 216 genuine pairs, 300 are needed
    assert "300 of each are needed" in capsys.readouterr().err
    for person in range(60):
        folder = tmp_path / "people" / f"p{person:02d}"
        for shot in range(9, 12):
            shutil.copy(folder / f"{shot - 9}.png", folder / f"{shot}.png")
    assert main([*small, "--calibrate"]) == 0
    told = capsys.readouterr()
    assert "60 people with 720 images" in told.out
    assert "/6000)" in told.out
    decision = decision_of(urface.load(path, "cpu", "fp32").facts)
    assert decision is not None
    assert decision.data == "patterns"
    assert decision.demonstration  # a copy of the model in the box stays what it is
    point = decision.point_at(0.01)
    judged = json.loads(out.read_text())
    assert point.impostor_pairs == judged["impostor_pairs"] > 100_000
    assert point.genuine_pairs == judged["genuine_pairs"] == 60 * 66
    assert np.isfinite(decision.unsure_above)
    assert decision.unsure_rule != "not measured"
