"""The evidence of a reproduction: tables, claims, and what the uncertainties are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from urface.atomic import write_atomic
from urface.config_reproduce import ReproduceSettings
from urface.embedder import load
from urface.evaluation.conditions import Condition
from urface.evaluation.correlation import sub_embedding_correlation
from urface.evaluation.table_text import write_tables
from urface.reproduce.claims import claims_markdown, judge_claims
from urface.reproduce.faces import ReproductionFaces
from urface.reproduce.findings import discard, uncertainty_examples
from urface.reproduce.grid import CLEAN, Judge, Rows, model_path
from urface.reproduce.measured import Measured
from urface.reproduce.quality import growth, rankings
from urface.reproduce.tables import as_json, tables
from urface.types import to_numpy


def uncertainty_part(
    rows: Rows,
    faces: ReproductionFaces,
    judge: Judge,
    measured: Measured,
    conditions: list[Condition],
    progress: bool,
) -> dict[str, Any]:
    """Example faces with their uncertainties and error against discard, of the last row with PA."""
    of_row = variance_row(rows)
    if of_row is None:
        return {}
    path = model_path(judge.settings, dict(rows)[of_row].model, 0)
    embedder = load(path)
    tested = {
        put_in.key: judge.embedded(embedder, path, put_in, True, progress)[0]
        for put_in in conditions
    }
    return {
        "uncertainty": uncertainty_examples(faces, tested, conditions),
        "discard": discard(measured, of_row, conditions),
    }


def variance_row(rows: Rows) -> str | None:
    """The row whose variances are told of: the last one with PA."""
    with_pa = [key for key, row in rows if "PA" in row.modules]
    return with_pa[-1] if with_pa else None


def write_evidence(
    settings: ReproduceSettings,
    rows: Rows,
    faces: ReproductionFaces,
    judge: Judge,
    measured: Measured,
    conditions: list[Condition],
    progress: bool,
) -> dict[str, Any]:
    """<out>/tables and <out>/claims.md and .json; the tables as JSON values."""
    out = Path(settings.out)
    data = f"trained on {faces.train_name}, tested on {faces.test_name}"
    made = tables(measured, conditions, data)
    write_tables(made, out / "tables")
    of_row = variance_row(rows)
    grown, ranked = [], []
    if of_row is not None:
        grown = growth(measured, of_row)
        embedder = load(model_path(settings, dict(rows)[of_row].model, 0))
        ranked = rankings(measured, of_row, judge.signs(conditions, embedder))
    correlation = correlations(settings, rows, faces, judge, progress)
    claims = judge_claims(measured, grown, ranked, correlation)
    evidence = {
        "claims": claims,
        "variance_of": of_row,
        "uncertainty": grown,
        "rankings": ranked,
        "correlation": correlation,
        "seeds": settings.seeds,
        "resamples": settings.resamples,
    }
    write_atomic(out / "claims.json", json.dumps(evidence, indent=1))
    text = claims_markdown(claims, settings.seeds, settings.resamples)
    write_atomic(out / "claims.md", text)
    return as_json(made)


def correlations(
    settings: ReproduceSettings,
    rows: Rows,
    faces: ReproductionFaces,
    judge: Judge,
    progress: bool,
) -> dict[str, list[float]]:
    """The correlation between the sub-embeddings of clean test faces, by row, for each seed."""
    found: dict[str, list[float]] = {}
    of_model: dict[str, list[float]] = {}
    for key, row in rows:
        if "ME" not in row.modules:
            continue
        if row.model not in of_model:
            of_model[row.model] = []
            for seed in range(settings.seeds):
                path = model_path(settings, row.model, seed)
                tested, _ = judge.embedded(load(path), path, CLEAN, True, progress)
                there = tested.row >= 0
                mean = to_numpy(tested.faces.mean)[tested.row[there]]
                value = sub_embedding_correlation(mean, faces.test.labels[there])
                of_model[row.model].append(value)
        if all(np.isfinite(of_model[row.model])):
            found[key] = of_model[row.model]
    return found
