"""Masks of decorrelation: halves, distinct, drawn once, kept in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from urface.config import ModelSettings, ObjectiveSettings
from urface.models.files import load_model, save_model
from urface.models.masks import VariationClassifier, draw_masks
from urface.models.urface import build_urface
from urface.types import UserError

SETTINGS = ModelSettings("tiny", input_size=64, embedding_dim=32, sub_embeddings=4)


@pytest.mark.parametrize(("variations", "k"), [(6, 16), (6, 4), (20, 6), (1, 2)])
def test_masks_are_distinct_halves(variations: int, k: int) -> None:
    torch.manual_seed(3)
    masks = draw_masks(variations, k)
    assert masks.shape == (variations, k)
    assert masks.sum(1).tolist() == [k // 2] * variations
    assert len({tuple(row) for row in masks.tolist()}) == variations


def test_masks_follow_the_seed() -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(draw_masks(6, 16))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(("variations", "k"), [(7, 4), (3, 2), (1, 3)])
def test_too_few_halves_are_refused(variations: int, k: int) -> None:
    with pytest.raises(UserError, match="sub_embeddings"):
        draw_masks(variations, k)


def test_a_model_s_file_keeps_its_masks(tmp_path: Path) -> None:
    objective = ObjectiveSettings(margin=9.0, decorrelate=("low_resolution", "occlusion"))
    torch.manual_seed(5)
    model = build_urface(SETTINGS, objective)
    save_model(tmp_path / "m.safetensors", model, SETTINGS, objective, {})
    torch.manual_seed(6)  # loading draws others first
    again, _, _ = load_model(tmp_path / "m.safetensors")
    assert model.masks is not None
    assert again.masks is not None
    assert torch.equal(again.masks, model.masks)


def test_masks_do_not_disturb_the_other_weights() -> None:
    torch.manual_seed(5)
    plain = build_urface(SETTINGS, ObjectiveSettings(margin=9.0)).state_dict()
    torch.manual_seed(5)
    masked = build_urface(SETTINGS, ObjectiveSettings(margin=9.0, decorrelate=("a",))).state_dict()
    assert set(masked) - set(plain) == {"masks"}
    assert all(torch.equal(plain[name], masked[name]) for name in plain)


def test_the_classifier_begins_by_saying_nothing() -> None:
    classifier = VariationClassifier(6, 16, 32)
    assert all((parameter == 0).all() for parameter in classifier.parameters())
