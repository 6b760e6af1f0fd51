"""What a reproduction found, drawn from its results: sentences, curves, example faces."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from urface.data.decode import encode_png, resize_image
from urface.evaluation.degrade import degrade
from urface.evaluation.embedding import CONDITIONS, TestFaces
from urface.evaluation.judge import verify
from urface.metrics.rejection import error_versus_discard
from urface.reproduce.faces import ReproductionFaces
from urface.training.logs import read_log

EXAMPLES = 18
CURVES = ("L_idt", "L_reg", "L_unc", "confidence_mean")


def lead(results: dict[str, Any]) -> list[str]:
    """Plain sentences for the top of the report and the end of the command's output."""
    sentences = []
    for condition in CONDITIONS:
        parts = []
        for row in results["rows"]:
            if row["seed"] == 0:
                rate = row["verification"][condition]["accuracy"]
                parts.append(f"{row['name']} {percent(rate)}")
        sentences.append(f"Verification accuracy, {condition} faces: {'; '.join(parts)}.")
    ranks, searches = [], []
    for row in results["rows"]:
        if row["seed"] == 0:
            found = row["identification"]["degraded"]
            ranks.append(f"{row['name']} {percent(found['closed']['1'])}")
            searches.append(f"{row['name']} {percent(found['open'][-1]['tpir'])}")
    sentences.append(f"Degraded probes in a clean gallery, rank-1: {'; '.join(ranks)}.")
    target = results["rows"][0]["identification"]["degraded"]["open"][-1]["fpir"]
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


def uncertainty_examples(faces: ReproductionFaces, tested: dict[str, TestFaces]) -> dict[str, Any]:
    """Faces from the surest to the least sure, and how uncertainty is spread in each condition."""
    spread, candidates = [], []
    for condition in CONDITIONS:
        values = np.asarray(tested[condition].faces.uncertainty)
        quantiles = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
        spread.append(
            {"key": condition, "name": condition.capitalize(), "quantiles": quantiles.tolist()}
        )
        rows = tested[condition].row
        candidates += [(values[rows[p]], condition, p) for p in np.flatnonzero(rows >= 0)]
    candidates.sort(key=lambda candidate: candidate[0])
    chosen = [candidates[int(i)] for i in np.linspace(0, len(candidates) - 1, EXAMPLES)]
    examples = []
    for value, condition, place in chosen:
        image = resize_image(faces.test.image(int(place)), 112)
        if condition == "degraded":
            image = degrade(image, faces.test.keys[int(place)])
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
        "at even steps from the surest to the least sure of all test faces, clean and degraded."
    )
    return {"note": note, "by_condition": spread, "examples": examples}


def discard(faces: ReproductionFaces, tested: dict[str, TestFaces]) -> dict[str, Any]:
    """Error rate of degraded pairs when the least sure ones are set aside."""
    probes = tested["degraded"]
    judged = verify(probes, probes, faces.pairs, "likelihood")
    values = np.asarray(probes.faces.uncertainty, np.float64)
    left, right = probes.at(faces.pairs.left), probes.at(faces.pairs.right)
    uncertainty = np.maximum(values[left], values[right])
    uncertainty[(left < 0) | (right < 0)] = np.nan
    curve = error_versus_discard(~judged.accuracy.correct, uncertainty, log_scale=True)
    return {
        "name": "Degraded pairs, likelihood score; a pair is as unsure as its less sure face",
        "shares": list(curve.shares),
        "error": [rate.value for rate in curve.rates],
        "low": [rate.low for rate in curve.rates],
        "high": [rate.high for rate in curve.rates],
        "random": curve.area_random,
    }
