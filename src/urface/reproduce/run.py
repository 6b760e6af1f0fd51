"""`urface reproduce`: every row trained, judged on unseen people, and told in one page."""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from urface.atomic import write_atomic
from urface.config import ReproduceSettings, TrainSettings, as_dict
from urface.data.frames import Frames
from urface.embedder import Embedder, load
from urface.environment import machine, placed
from urface.evaluation.calibration import calibrate
from urface.evaluation.degrade import WHAT
from urface.evaluation.embedding import CONDITIONS, TestFaces, cache_name, embed_test_set
from urface.evaluation.judge import identify, verify
from urface.evaluation.pixels import embed_pixels
from urface.evaluation.report import report_markdown, write_report
from urface.models.urface import build_urface
from urface.reproduce.faces import ReproductionFaces, reproduction_faces
from urface.reproduce.findings import discard, lead, training_curves, uncertainty_examples
from urface.reproduce.rows import ROWS, Row, chosen
from urface.training.train import MODEL, train
from urface.types import UserError


def reproduce(settings: ReproduceSettings, command: str = "", progress: bool = True) -> Path:
    """Train and judge the rows; <out>/report.html, with results.json and table.md beside it.

    Everything made on the way is kept and found again: an interrupted run goes on, a finished one only
    says so. Raises UserError where data are missing or <out> holds another reproduction.
    """
    out = Path(settings.out)
    rows = chosen(settings.rows)
    report, results_file = out / "report.html", out / "results.json"
    check_same(out, settings)
    if report.is_file() and results_file.is_file():
        results = json.loads(results_file.read_text(encoding="utf-8"))
        say(progress, "done already; delete the folder, or choose another out, to run again")
        tell(results, report)
        return report
    started = time.monotonic()
    seconds: dict[str, float] = {}
    faces = reproduction_faces(settings, progress)
    seconds["faces"] = round(time.monotonic() - started, 1)
    models = train_models(settings, rows, faces, seconds, progress)
    judging = time.monotonic()
    table, embedded = judge_rows(settings, rows, faces, models, progress)
    reference = judge_references(settings, faces, progress)
    results = {
        "title": "URFace on synthetic faces" if faces.synthetic else f"URFace on {faces.test_name}",
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command or shlex.join(["urface", *sys.argv[1:]]),
        "seconds": seconds,
        "data": describe(faces),
        "conditions": [
            {"key": "clean", "name": "Clean", "what": "faces as they are"},
            {"key": "degraded", "name": "Degraded", "what": f"{WHAT}; the gallery stays clean"},
        ],
        "rows": table,
        "reference": reference,
        "curves": training_curves(models),
        "settings": as_dict(settings),
        "machine": machine(),
    }
    results |= uncertainty_part(settings, rows, faces, embedded)
    results["lead"] = lead(results)
    seconds["judging"] = round(time.monotonic() - judging, 1)
    seconds["total"] = round(sum(seconds.values()), 1)
    write_atomic(results_file, json.dumps(results, indent=1))
    write_atomic(out / "table.md", report_markdown(results))
    write_report(results, report)
    tell(results, report)
    return report


def check_same(out: Path, settings: ReproduceSettings) -> None:
    """Remember the settings of ``out`` at the first run; refuse others later."""
    path = out / "reproduce.json"
    now = json.loads(json.dumps(as_dict(settings)))
    for values in (now, now["settings"]["run"], now["settings"]["data"]):
        values.pop("out", None)
    now["settings"]["data"].pop("train", None)
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != now:
        raise UserError(
            f"{out} holds a reproduction with other settings: choose another out, or delete it"
        )
    write_atomic(path, json.dumps(now, indent=1))


def model_path(settings: ReproduceSettings, row: Row, seed: int) -> Path:
    return Path(settings.out) / "models" / f"{row.model}_seed{seed}" / MODEL


def train_models(
    settings: ReproduceSettings,
    rows: list[tuple[str, Row]],
    faces: ReproductionFaces,
    seconds: dict[str, float],
    progress: bool,
) -> dict[str, Path]:
    """Train each distinct model of the rows for every seed; name -> model file."""
    plans: dict[str, tuple[Path, TrainSettings]] = {}
    for _, row in rows:
        for seed in range(settings.seeds):
            path = model_path(settings, row, seed)
            run = replace(settings.settings.run, out=str(path.parent), seed=seed)
            plans[path.parent.name] = (path, replace(row.settings(settings.settings), run=run))
    for number, (name, (path, plan)) in enumerate(plans.items(), start=1):
        say(progress, f"[{number}/{len(plans)}] training {name}")
        train(plan, faces.train, progress)
        seconds[f"train {name}"] = load(path).facts["seconds"]
    return {name: path for name, (path, _) in plans.items()}


def judge_rows(
    settings: ReproduceSettings,
    rows: list[tuple[str, Row]],
    faces: ReproductionFaces,
    models: dict[str, Path],
    progress: bool,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, TestFaces]]]:
    """The rows of the table, and the embedded test faces by model and condition."""
    embedded: dict[str, dict[str, TestFaces]] = {}
    for name, path in models.items():
        say(progress, f"embedding the test faces with {name}")
        embedder = load(path)
        embedded[name] = {}
        for condition in CONDITIONS:
            cache = Path(settings.out) / "embeddings" / cache_name(path, faces.test, condition, 0)
            embedded[name][condition] = embed_test_set(
                embedder, faces.test, condition, cache=cache, progress=progress
            )
    table = []
    for seed in range(settings.seeds):
        for key, row in rows:
            path = model_path(settings, row, seed)
            tested = embedded[path.parent.name]
            judged = judge_row(faces, tested, row)
            scores = judged.pop("scores")
            if ROWS[key].method == "likelihood" or row.model != "confidence":
                data = f"{faces.test_name}, clean"
                calibrate(path, scores, faces.pairs.same, row.method, data=data)
            label = row.name.format(K=settings.settings.model.sub_embeddings)
            table.append({"key": key, "name": label, "method": row.method, "seed": seed, **judged})
    return table, embedded


def judge_row(faces: ReproductionFaces, tested: dict[str, TestFaces], row: Row) -> dict[str, Any]:
    """Verification and identification of one row, and its clean scores."""
    verification, identification = {}, {}
    for condition in CONDITIONS:
        probes = tested[condition]
        judged = verify(probes, probes, faces.pairs, row.method)
        verification[condition] = judged.to_dict()
        found = identify(tested["clean"], probes, faces.test.labels, faces.search, row.method)
        identification[condition] = found.to_dict()
        if condition == "clean":
            scores = judged.scores
    return {"verification": verification, "identification": identification, "scores": scores}


def judge_references(
    settings: ReproduceSettings, faces: ReproductionFaces, progress: bool
) -> list[dict[str, Any]]:
    """What raw pixels and an untrained network reach on the same pairs."""
    say(progress, "judging raw pixels and an untrained network")
    needed = np.concatenate([faces.pairs.left, faces.pairs.right])
    base = settings.settings
    torch.manual_seed(0)
    network = placed(build_urface(base.model, base.objective), torch.device("cpu"))
    fit_batch_norm(network, faces, base)
    embedder = Embedder(network, base.model)
    rows: list[dict[str, Any]] = [
        {"name": "Raw pixels", "verification": {}},
        {"name": "Untrained network", "verification": {}},
    ]
    for condition in CONDITIONS:
        pixels = embed_pixels(faces.test, condition, needed)
        random = embed_test_set(embedder, faces.test, condition, needed=needed, progress=progress)
        for row, tested in zip(rows, (pixels, random), strict=True):
            judged = verify(tested, tested, faces.pairs, "cosine")
            row["verification"][condition] = judged.to_dict()
    return rows


def fit_batch_norm(network: torch.nn.Module, faces: ReproductionFaces, base: TrainSettings) -> None:
    """Give an untrained network the statistics of its activations, without which it is noise."""
    network.train()
    frames = Frames(faces.train, base.model.input_size, base.data.corrupt_share)
    count = min(256, len(faces.train))
    places = np.linspace(0, len(faces.train) - 1, count).astype(int)
    images = np.stack([frames.get(int(place))[0] for place in places])
    with torch.no_grad():
        for _ in range(20):  # the running statistics move a tenth of the way each time
            network(torch.from_numpy(images))
    network.eval()


def uncertainty_part(
    settings: ReproduceSettings,
    rows: list[tuple[str, Row]],
    faces: ReproductionFaces,
    embedded: dict[str, dict[str, TestFaces]],
) -> dict[str, Any]:
    """Example faces with their uncertainties and error against discard, of the first learned variance."""
    for _, row in rows:
        if row.method == "likelihood":
            tested = embedded[model_path(settings, row, 0).parent.name]
            return {
                "uncertainty": uncertainty_examples(faces, tested),
                "discard": discard(faces, tested),
            }
    return {}


def describe(faces: ReproductionFaces) -> dict[str, Any]:
    """Names and sizes of the data."""
    return {
        "train": {
            "name": faces.train_name,
            "identities": len(faces.train.identities),
            "images": len(faces.train),
        },
        "test": {
            "name": faces.test_name,
            "identities": len(faces.test.identities),
            "images": len(faces.test),
            "pairs": len(faces.pairs.same),
            "enrolled": len(faces.search.gallery),
            "mated_probes": len(faces.search.mated),
            "nonmated_probes": len(faces.search.nonmated),
        },
    }


def say(progress: bool, line: str) -> None:
    if progress:
        print(line, file=sys.stderr, flush=True)


def tell(results: dict[str, Any], report: Path) -> None:
    """The last lines: what was found, and where to look."""
    for sentence in results["lead"]:
        print(sentence)
    print(f"report: {report}")
