"""Decorrelation in training: its gradients, its record, exact resume, two ranks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from apart import apart
from urface.config import ObjectiveSettings, TrainSettings, VariationSettings
from urface.losses import Masked
from urface.training import loop
from urface.training.decorrelation import VariationLog, sub_embedding_correlation
from urface.training.logs import read_log
from urface.training.train import train
from urface.types import UserError

from .conftest import Settings
from .forked import together

NAMES = ("low_resolution", "occlusion")


def plan(settings: Settings, out: Path, **more: object) -> TrainSettings:
    objective = ObjectiveSettings("confidence", 2.0, decorrelate=NAMES)
    variations = VariationSettings(low_resolution=0.5, occlusion=0.5)
    return settings(out, objective=objective, variations=variations, **more)


def test_terms_and_what_masks_tell_are_logged(tmp_path: Path, settings: Settings) -> None:
    train(plan(settings, tmp_path), progress=False)
    lines = [line for line in read_log(tmp_path / "log.jsonl") if line["stage"] == "embedding"]
    assert all(line["L_adv"] >= 2 * np.log(2) - 1e-6 for line in lines)
    told = [name for line in lines for name in line if name.startswith("told_")]
    assert {f"told_{which}/{name}" for which in ("own", "other") for name in NAMES} == set(told)
    assert all(0 <= line[name] <= 1 for line in lines for name in line if name in set(told))
    assert all(0 <= line["correlation"] <= 1 for line in lines)


def test_masks_and_classifier_survive_a_kill_bit_for_bit(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(plan(settings, tmp_path / "whole"), progress=False)

    class Killed(Exception):
        pass

    step, calls = loop.clip_gradients, []

    def killed_at_the_eighth(*arguments: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 8:
            raise Killed
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "clip_gradients", killed_at_the_eighth)
    with pytest.raises(Killed):
        train(plan(settings, tmp_path / "cut"), progress=False)
    monkeypatch.undo()
    resumed = train(plan(settings, tmp_path / "cut"), progress=False)
    first, second = load_file(whole), load_file(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)
    last = [sorted((tmp_path / run / "checkpoints").iterdir())[-1] for run in ("whole", "cut")]
    states = [load_file(folder / "state.safetensors") for folder in last]
    for name in ("model/masks", "classifier/weight", "optimizer/classifier.weight/exp_avg"):
        assert torch.equal(states[0][name], states[1][name]), name
    assert states[0]["classifier/weight"].abs().sum() > 0


def on_ranks(settings: TrainSettings, world: int, folder: Path) -> None:
    together(world, folder, lambda _: str(train(settings, progress=False)))


def test_two_ranks_match_one_rank(tmp_path: Path, settings: Settings) -> None:
    for ranks in (1, 2):
        out = tmp_path / str(ranks)
        apart(on_ranks, plan(settings, out, epochs=0.5), ranks, tmp_path / f"meet{ranks}")
    one, two = (
        [line for line in read_log(tmp_path / r / "log.jsonl") if line["stage"] == "embedding"]
        for r in ("1", "2")
    )
    # BatchNorm sees half the batch on two ranks, so only the first step's adversary is the same number.
    assert one[0]["L_adv"] == pytest.approx(two[0]["L_adv"], rel=1e-6)
    assert one[0]["L_cls"] == pytest.approx(2 * np.log(2), rel=1e-6)
    masks = [load_file(tmp_path / r / "model.safetensors")["masks"] for r in ("1", "2")]
    assert torch.equal(*masks)


@pytest.mark.parametrize(
    ("names", "variations", "said"),
    [
        (("smiling",), VariationSettings(), "no variation 'smiling', only low_resolution"),
        (("occlusion",), VariationSettings(occlusion=0.0), "occlusion is never applied"),
    ],
)
def test_a_variation_that_is_not_there_is_refused(
    tmp_path: Path,
    settings: Settings,
    names: tuple[str, ...],
    variations: VariationSettings,
    said: str,
) -> None:
    objective = ObjectiveSettings("confidence", 2.0, decorrelate=names)
    with pytest.raises(UserError, match=said):
        train(settings(tmp_path, objective=objective, variations=variations), progress=False)


def test_baselines_have_nothing_to_decorrelate() -> None:
    with pytest.raises(UserError, match="no sub-embeddings to work on"):
        ObjectiveSettings("cosface", 0.3, decorrelate=("occlusion",))
    with pytest.raises(UserError, match="twice"):
        ObjectiveSettings(decorrelate=("occlusion", "occlusion"))
    assert replace(ObjectiveSettings(), decorrelate=("a",)).decorrelate == ("a",)


def test_what_is_told_is_balanced_over_present_and_absent() -> None:
    log = VariationLog(("a", "b"), torch.device("cpu"))
    labels = torch.tensor([[1, 0], [0, 0], [0, 0], [0, 1], [0, float("nan")]]).float()
    logits = torch.full((5, 2, 2), -1.0)
    logits[0, 0, 0] = 1.0  # its own mask tells a, the other mask never does
    log.add(Masked(logits, labels, torch.tensor([5.0, 4.0])))
    values = log.values()
    assert values["told_own/a"] == 1.0
    assert values["told_other/a"] == 0.5
    assert values["told_own/b"] == 0.5  # one of one missed, three of three right, one unknown
    assert log.values() == {}


def test_correlation_takes_each_image_s_own_prototype() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=2)

    mean, prototypes, labels = draw(40, 3, 4), draw(5, 3, 4), torch.arange(40) % 5
    distance = [
        [1 - float(mean[i, k] @ prototypes[labels[i], k]) for k in range(3)] for i in range(40)
    ]
    matrix = np.abs(np.corrcoef(np.array(distance), rowvar=False))
    got = sub_embedding_correlation(mean, labels, prototypes, 0)
    assert got == pytest.approx((matrix.sum() - 3) / 6, rel=1e-5)
