"""Settings: every bad value is refused with the setting's name; good ones travel through JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from urface.config import (
    DataSettings,
    ModelSettings,
    ObjectiveSettings,
    OptimSettings,
    RunSettings,
    TrainSettings,
    UncertaintySettings,
    VariationSettings,
    as_dict,
    model_from_dict,
)
from urface.config_reproduce import ReproduceSettings
from urface.types import UserError

BAD: list[tuple[type, str, str, list[Any]]] = [
    (DataSettings, "data", "min_images", [0, -1]),
    (DataSettings, "data", "identities", [-1]),
    (DataSettings, "data", "corrupt_share", [-0.1, 1.0, 2.0, math.nan]),
    (VariationSettings, "variations", "low_resolution", [-0.1, 1.1, math.nan]),
    (VariationSettings, "variations", "occlusion", [-0.1, 1.1, math.nan]),
    (VariationSettings, "variations", "flip", [-0.1, 1.1, math.nan]),
    (VariationSettings, "variations", "shrink_share", [-0.1, 1.1, math.nan]),
    (VariationSettings, "variations", "blur_kernels", [(3, 10), (2, 11), (11, 3), (0, 3), (-3, 3)]),
    (VariationSettings, "variations", "shrink_pixels", [(0, 8), (9, 8)]),
    (VariationSettings, "variations", "occlusion_blocks", [(0, 5), (6, 5), (5, 49)]),
    (VariationSettings, "variations", "occlusion_grid", [0, -7]),
    (ModelSettings, "model", "input_size", [0, 31, 129, -112]),
    (ModelSettings, "model", "frame_size", [111, -1]),
    (ModelSettings, "model", "sub_embeddings", [0, -1]),
    (ModelSettings, "model", "embedding_dim", [0, -512, 510]),
    (ModelSettings, "model", "initial_confidence", [0.0, 0.5, 129.0, -64.0, math.nan]),
    (
        ModelSettings,
        "model",
        "confidence_range",
        [(0.0, 128.0), (-1.0, 128.0), (1.0, 60.0), (65.0, 1.0)],
    ),
    (ModelSettings, "model", "dropout", [-0.1, 1.0, math.nan]),
    (ObjectiveSettings, "objective", "margin", [-1.0, math.nan]),
    (ObjectiveSettings, "objective", "regularizer", [-0.001, math.nan]),
    (OptimSettings, "optim", "batch_size", [0, -1]),
    (OptimSettings, "optim", "epochs", [0.0, -1.0, math.nan]),
    (OptimSettings, "optim", "learning_rate", [0.0, -0.1, math.nan]),
    (OptimSettings, "optim", "clip", [0.0, -5.0, math.nan]),
    (OptimSettings, "optim", "warmup_share", [-0.1, 1.0, math.nan]),
    (OptimSettings, "optim", "momentum", [-0.1, 1.0, math.nan]),
    (OptimSettings, "optim", "weight_decay", [-1e-4, math.nan]),
    (OptimSettings, "optim", "confidence_factor", [-0.1, math.nan]),
    (OptimSettings, "optim", "confidence_start", [-0.1, 1.0, math.nan]),
    (OptimSettings, "optim", "step_shares", [(0.8, 0.5), (-0.1, 0.5), (0.5, 1.1)]),
    (UncertaintySettings, "uncertainty", "steps", [-1]),
    (UncertaintySettings, "uncertainty", "identities", [0]),
    (UncertaintySettings, "uncertainty", "images_per_identity", [1, 0]),
    (UncertaintySettings, "uncertainty", "learning_rate", [0.0, -1e-3, math.nan]),
    (UncertaintySettings, "uncertainty", "weight_decay", [-1e-4, math.nan]),
    (UncertaintySettings, "uncertainty", "decay_at", [-0.1, 1.1, math.nan]),
    (RunSettings, "run", "checkpoint_every", [0, -1]),
    (RunSettings, "run", "log_every", [0, -1]),
]


@pytest.mark.parametrize(
    ("kind", "group", "name", "value"),
    [(kind, group, name, value) for kind, group, name, values in BAD for value in values],
)
def test_bad_value_is_refused_in_one_line_with_its_name(kind, group: str, name: str, value) -> None:
    with pytest.raises(UserError) as caught:
        kind(**{name: value})
    message = str(caught.value)
    assert group in message
    assert name in message
    assert "\n" not in message


def test_defaults_and_the_ends_of_ranges_are_accepted() -> None:
    TrainSettings()
    ReproduceSettings()
    DataSettings(corrupt_share=0.0)
    VariationSettings(
        low_resolution=0.0, occlusion=1.0, blur_kernels=(1, 1), occlusion_blocks=(1, 48)
    )
    ModelSettings(input_size=32, confidence_range=(64.0, 64.0))
    ModelSettings(input_size=128, initial_confidence=128.0, sub_embeddings=512)
    ObjectiveSettings(margin=0.0, regularizer=0.0)
    OptimSettings(warmup_share=0.0, momentum=0.0, weight_decay=0.0, step_shares=(0.0, 1.0))
    UncertaintySettings(steps=0)


def test_no_frame_size_means_no_crop() -> None:
    assert ModelSettings(input_size=100).frame_size == 100
    assert ModelSettings(input_size=100, frame_size=110).frame_size == 110


@pytest.mark.parametrize("kind", ["cosface", "arcface"])
def test_a_logit_margin_for_a_baseline_is_refused(kind) -> None:
    with pytest.raises(UserError, match=r"objective\.margin 30\.0 is a logit margin"):
        ObjectiveSettings(kind)
    ObjectiveSettings(kind, 0.5)


@pytest.mark.parametrize("kind", ["cosface", "arcface"])
def test_a_baseline_with_sub_embeddings_is_refused(kind) -> None:
    with pytest.raises(UserError, match=r"model\.sub_embeddings"):
        TrainSettings(objective=ObjectiveSettings(kind, 0.5))
    TrainSettings(objective=ObjectiveSettings(kind, 0.5), model=ModelSettings(sub_embeddings=1))


def test_a_margin_that_no_confidence_can_reach_is_refused() -> None:
    with pytest.raises(UserError, match=r"objective\.margin 128\.0 can never be reached"):
        TrainSettings(objective=ObjectiveSettings(margin=128.0))


def test_train_test_and_pairs_are_named_together_or_not_at_all() -> None:
    with pytest.raises(UserError, match="all three"):
        ReproduceSettings(train="x")
    with pytest.raises(UserError, match="seeds"):
        ReproduceSettings(seeds=0)


def test_model_settings_come_back_out_of_json() -> None:
    settings = ModelSettings("small", 100, 110, confidence_range=(2.0, 100.0))
    assert model_from_dict(json.loads(json.dumps(as_dict(settings)))) == settings


def test_all_settings_are_plain_json() -> None:
    values = as_dict(TrainSettings())
    assert json.loads(json.dumps(values)) == values
    assert values["variations"]["blur_kernels"] == [3, 11]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"threads": -1}, "threads must not be negative, got -1"),
        ({"device": "gpu"}, "run.device must be one of auto, cpu, cuda, got 'gpu'"),
        ({"precision": "fp16"}, "run.precision must be one of auto, bf16, fp32, got 'fp16'"),
    ],
)
def test_where_and_how_to_run_is_checked(values: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        RunSettings(**values)
