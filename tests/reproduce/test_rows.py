"""Claims about the rows of the tables."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from urface.config import DataSettings, TrainSettings, VariationSettings
from urface.config_reproduce import ReproduceSettings
from urface.data.source import FaceSource
from urface.reproduce.rows import ROWS, SETS, check_variations, chosen
from urface.types import UserError

LABELS = ("smiling", "young", "male")
PLAN = ReproduceSettings(
    settings=TrainSettings(
        data=DataSettings(meshes="m.parquet"), variations=VariationSettings(pose=0.3)
    )
)


def source(*labels: str) -> FaceSource:
    values = np.ones((1, len(labels)), np.float32)
    return FaceSource("faces", ["a"], np.zeros(1, np.int64), ["p"], labels, values, lambda i: b"")


def test_every_row_has_settings_that_are_valid_and_rows_of_one_model_the_same() -> None:
    trained: dict[str, TrainSettings] = {}
    for row in ROWS.values():
        settings = row.settings(PLAN)
        replace(settings)  # checks itself anew
        assert trained.setdefault(row.model, settings) == settings
        assert not row.embedding or row.embedding in {other.model for other in ROWS.values()}


def test_the_ablation_adds_one_module_at_a_time() -> None:
    modules = [row.modules for _, row in chosen(("ablation",))]
    assert [len(has) for has in modules] == [0, 1, 2, 3, 4, 5]
    for less, more in pairwise(modules):
        assert set(less) < set(more)
    plans = [row.settings(PLAN) for _, row in chosen(("ablation",))]
    assert [p.variations.low_resolution > 0 for p in plans] == [False] + [True] * 5
    assert [p.objective.identification for p in plans] == ["cosface"] * 2 + ["confidence"] * 4
    assert [p.model.sub_embeddings for p in plans] == [1, 1, 1, 16, 16, 16]
    assert [len(p.objective.decorrelate) for p in plans] == [0, 0, 0, 0, 6, 6]
    assert [row.method for _, row in chosen(("ablation",))] == ["cosine"] * 5 + ["likelihood"]


def test_table_1_differs_in_the_decorrelation_alone() -> None:
    plans = [row.settings(PLAN) for _, row in chosen(("table1",))]
    names = [plan.objective.decorrelate for plan in plans]
    assert [len(n) for n in names] == [0, 3, 4, 6]
    assert names[1] == ("low_resolution", "occlusion", "pose")
    same = [replace(p, objective=replace(p.objective, decorrelate=())) for p in plans]
    assert all(plan == same[0] for plan in same)
    assert {row.method for _, row in chosen(("table1",))} == {"likelihood"}


def test_table_2_has_the_six_methods_and_pfe_the_frozen_baseline() -> None:
    rows = dict(chosen(("table2",)))
    assert list(rows) == ["pfe", "arcface", "cosface", "cosface_va", "all", "all_pa"]
    pfe, baseline = (rows[key].settings(PLAN) for key in ("pfe", "cosface"))
    assert rows["pfe"].embedding == rows["cosface"].model
    assert replace(pfe, uncertainty=baseline.uncertainty) == baseline
    assert pfe.uncertainty.per_dimension
    assert pfe.uncertainty.steps == PLAN.settings.uncertainty.steps
    assert rows["arcface"].settings(PLAN).objective.margin == PLAN.arcface_margin


def test_sets_and_rows_combine_and_none_comes_twice() -> None:
    keys = [key for key, _ in chosen(("ablation", "pfe", "table2", "cosface"))]
    assert len(keys) == len(set(keys))
    assert keys[:6] == list(SETS["ablation"])
    assert keys[6:] == ["pfe", "arcface"]
    with pytest.raises(UserError, match="no row or set is called 'tabel1'"):
        chosen(("tabel1",))


def test_another_decorrelation_or_confidence_leaves_the_baselines_as_they_are() -> None:
    base = PLAN.settings
    other = replace(
        PLAN,
        settings=replace(
            base,
            objective=replace(base.objective, adversarial=1.0, decorrelate=("occlusion",)),
            optim=replace(base.optim, classifier_rate=0.5, confidence_factor=0.02),
        ),
    )
    for key in ("cosface", "arcface", "pfe", "cosface_va"):
        assert ROWS[key].settings(PLAN) == ROWS[key].settings(other)
    assert ROWS["all"].settings(PLAN) != ROWS["all"].settings(other)


def test_a_row_without_its_variations_is_refused_and_says_what_is_missing() -> None:
    rows = chosen(("all",))
    check_variations(rows, PLAN, source(*LABELS))
    with pytest.raises(UserError, match=r"row all decorrelates male, and faces has no such label"):
        check_variations(rows, PLAN, source("smiling", "young"))
    still = replace(
        PLAN, settings=replace(PLAN.settings, variations=VariationSettings(), data=DataSettings())
    )
    with pytest.raises(UserError, match=r"settings\.variations\.pose 0 never"):
        check_variations(rows, still, source(*LABELS))
    check_variations(chosen(("cosface_va", "confidence_pa")), still, source())
    no_meshes = replace(PLAN, settings=replace(PLAN.settings, data=DataSettings()))
    with pytest.raises(UserError, match=r"needs settings\.data\.meshes"):
        check_variations(chosen(("cosface_va",)), no_meshes, source())
    check_variations(chosen(("cosface",)), no_meshes, source())


def test_a_baseline_has_the_head_of_the_other_rows() -> None:
    """But for what only confidences and decorrelation read: how classes are sampled and stored is one."""
    base = PLAN.settings
    objective = replace(base.objective, sample_classes=0.3, noisy_cosine=0.4, prototypes="bf16")
    plan = replace(PLAN, settings=replace(base, objective=objective))
    heads = {
        (o.sample_classes, o.noisy_cosine, o.prototypes)
        for o in (row.settings(plan).objective for row in ROWS.values())
    }
    assert heads == {(0.3, 0.4, "bf16")}
