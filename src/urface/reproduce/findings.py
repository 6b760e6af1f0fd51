"""What a reproduction found, drawn from its results: sentences, curves, example faces."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from urface.data.decode import encode_png, resize_image
from urface.evaluation.conditions import Condition
from urface.evaluation.embedding import TestFaces
from urface.metrics.rejection import error_versus_discard
from urface.reproduce.faces import ReproductionFaces
from urface.reproduce.measured import Measured
from urface.reproduce.quality import of_pairs
from urface.training.logs import read_log
from urface.types import UserError

EXAMPLES = 18
CURVES = ("L_idt", "L_reg", "L_unc", "confidence_mean")


def lead(results: dict[str, Any]) -> list[str]:
    """Plain sentences for the top of the report and the end of the command's output."""
    sentences = []
    names = {condition["key"]: condition["name"].lower() for condition in results["conditions"]}
    for condition, name in names.items():
        parts = []
        for row in results["rows"]:
            if row["seed"] == 0:
                rate = row["verification"][condition]["accuracy"]
                parts.append(f"{row['name']} {percent(rate)}")
        sentences.append(f"Verification accuracy, {name} faces: {'; '.join(parts)}.")
    probed = hardest([*names])
    ranks, searches = [], []
    for row in results["rows"]:
        if row["seed"] == 0:
            found = row["identification"][probed]
            ranks.append(f"{row['name']} {percent(found['closed']['1'])}")
            searches.append(f"{row['name']} {percent(found['open'][-1]['tpir'])}")
    probes = names[probed].capitalize()
    sentences.append(f"{probes} probes in a clean gallery, rank-1: {'; '.join(ranks)}.")
    target = results["rows"][0]["identification"][probed]["open"][-1]["fpir"]
    sentences.append(f"The same in the open set, TPIR at FPIR {target:.0%}: {'; '.join(searches)}.")
    if results["reference"]:
        parts = [
            f"{row['name'].lower()} {percent(row['verification']['clean']['accuracy'])}"
            for row in results["reference"]
        ]
        sentences.append(f"Without training, clean: {'; '.join(parts)}.")
    if len({row["seed"] for row in results["rows"]}) == 1:
        sentences.append(
            "One seed: differences between rows of the size of their intervals are not evidence that "
            "one method is better."
        )
    return sentences


def hardest(conditions: list[str]) -> str:
    """The condition that one sentence or curve is about: degraded where it is judged, else the last."""
    return "degraded" if "degraded" in conditions else conditions[-1]


def percent(rate: dict[str, Any]) -> str:
    """A rate with its interval in percent, or that it is withheld."""
    if rate["value"] is None:
        return "withheld"
    return f"{100 * rate['value']:.1f} [{100 * rate['low']:.1f}, {100 * rate['high']:.1f}]"


def training_curves(models: dict[str, Path]) -> dict[str, Any]:
    """Loss terms and mean confidence over the steps of stage one, by model."""
    curves = {}
    for name, path in models.items():
        lines = [
            line for line in read_log(path.parent / "log.jsonl") if line["stage"] == "embedding"
        ]
        curve: dict[str, Any] = {"name": name, "steps": [line["step"] for line in lines]}
        for term in CURVES:
            if lines and all(term in line for line in lines):
                curve[term] = [line[term] for line in lines]
        curves[name] = curve
    return curves


def uncertainty_examples(
    faces: ReproductionFaces, tested: dict[str, TestFaces], conditions: list[Condition]
) -> dict[str, Any]:
    """Faces from the surest to the least sure, and how uncertainty is spread in each condition."""
    spread, candidates = [], []
    by_key = {put_in.key: put_in for put_in in conditions}
    for condition, put_in in by_key.items():
        values = np.asarray(tested[condition].faces.uncertainty)
        quantiles = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
        spread.append({"key": condition, "name": put_in.name, "quantiles": quantiles.tolist()})
        rows = tested[condition].row
        candidates += [(values[rows[p]], condition, p) for p in np.flatnonzero(rows >= 0)]
    candidates.sort(key=lambda candidate: candidate[0])
    chosen = [candidates[int(i)] for i in np.linspace(0, len(candidates) - 1, EXAMPLES)]
    examples = []
    for value, condition, place in chosen:
        image = resize_image(faces.test.image(int(place)), 112)
        image = by_key[condition].apply(image, faces.test.keys[int(place)], 0)
        variance = tested[condition].faces.sub_variance[tested[condition].row[place]]
        examples.append(
            {
                "image": base64.b64encode(encode_png(image)).decode(),
                "caption": condition,
                "sigma": np.sqrt(np.asarray(variance, np.float64)).tolist(),
                "uncertainty": float(value),
            }
        )
    note = (
        "Mean over the sub-embeddings of log sigma squared; larger is less sure. The examples are taken "
        "at even steps from the surest to the least sure of all test faces in all conditions."
    )
    return {"note": note, "by_condition": spread, "examples": examples}


def discard(measured: Measured, row: str, conditions: list[Condition]) -> dict[str, Any]:
    """Error rate of degraded pairs when the least sure ones are set aside; nothing where all are alike."""
    probed = hardest([put_in.key for put_in in conditions])
    name = next(put_in.name for put_in in conditions if put_in.key == probed)
    right = measured.verification((row, 0, probed)).accuracy.correct
    values = measured.outcomes[row, 0, probed].uncertainty.astype(np.float64)
    uncertainty = of_pairs(values, measured.protocol.pairs.left, measured.protocol.pairs.right)
    try:
        curve = error_versus_discard(~right, uncertainty, log_scale=True)
    except UserError:
        return {}
    return {
        "name": f"{name} pairs, likelihood score; a pair is as unsure as its less sure face",
        "shares": list(curve.shares),
        "error": [rate.value for rate in curve.rates],
        "low": [rate.low for rate in curve.rates],
        "high": [rate.high for rate in curve.rates],
        "random": curve.area_random,
    }
