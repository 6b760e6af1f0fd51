"""`urface reproduce`: every row trained, judged on unseen people, and told in pages and tables."""

from __future__ import annotations

import json
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from urface.atomic import write_atomic
from urface.config import as_dict
from urface.config_reproduce import ReproduceSettings
from urface.embedder import load
from urface.environment import machine
from urface.evaluation.calibration import calibrate
from urface.evaluation.conditions import Condition, condition
from urface.evaluation.report import report_markdown, write_report
from urface.metrics.paired import SubjectDraws
from urface.reproduce.evidence import uncertainty_part, write_evidence
from urface.reproduce.faces import ReproductionFaces, reproduction_faces
from urface.reproduce.findings import lead, training_curves
from urface.reproduce.grid import Judge, Rows, model_path, say, train_models
from urface.reproduce.measured import Measured
from urface.reproduce.meshes import train_meshes, turn_test_faces
from urface.reproduce.references import judge_references
from urface.reproduce.rows import check_variations, chosen
from urface.training.resume import FREE as FREE_OF_RUN
from urface.types import UserError

# What a reproduction may be grown by: each model and each judgement knows what it was made from.
FREE = ("rows", "seeds", "conditions", "gallery_images", "test_meshes", "jobs", "resamples")
SIDE_BY_SIDE = "trainings, side by side"


def reproduce(settings: ReproduceSettings, command: str = "", progress: bool = True) -> Path:
    """Train and judge the rows; <out>/report.html, and beside it results.json, tables/ and claims.md.

    Everything made on the way is kept and found again: an interrupted run goes on, a finished one is
    only drawn again, and one with more rows, seeds or conditions adds those. Raises UserError where
    data are missing or <out> holds another reproduction.
    """
    out = Path(settings.out)
    rows = chosen(settings.rows)
    check_same(out, settings)
    started = time.monotonic()
    seconds = seconds_before(out)
    faces = reproduction_faces(settings, progress)
    settings.settings.data.meshes = train_meshes(settings, faces.train, progress)
    check_variations(rows, settings, faces.train)
    turn = turn_test_faces(settings, faces.test, progress)
    conditions = [condition(key, turn) for key in settings.conditions]
    note(seconds, "faces", started)
    training = time.monotonic()
    models = train_models(settings, rows, faces, seconds, progress)
    if settings.jobs > 1:
        note(seconds, SIDE_BY_SIDE, training)

    judging = time.monotonic()
    judge = Judge(settings, faces, faces.protocol)
    outcomes = judge.judge(rows, conditions, progress)
    draws = SubjectDraws(faces.protocol.people, settings.resamples)
    measured = Measured(faces.protocol, outcomes, settings.seeds, draws)
    results = {
        "title": "URFace on synthetic faces" if faces.synthetic else f"URFace on {faces.test_name}",
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command or shlex.join(["urface", *sys.argv[1:]]),
        "seconds": seconds,
        "data": describe(faces),
        "conditions": [described(put_in) for put_in in conditions],
        "rows": judged_rows(settings, rows, measured, conditions),
        "reference": judge_references(settings, faces, conditions, progress),
        "curves": training_curves(models),
        "settings": as_dict(settings),
        "machine": machine(),
    }
    keep_thresholds(settings, rows, faces, measured)
    results |= uncertainty_part(rows, faces, judge, measured, conditions, progress)
    results["lead"] = lead(results)
    say(progress, "tables and claims")
    results["tables"] = write_evidence(settings, rows, faces, judge, measured, conditions, progress)
    note(seconds, "judging", judging)
    seconds["total"] = whole_time(seconds, settings.jobs)
    write_atomic(out / "results.json", json.dumps(results, indent=1))
    write_atomic(out / "table.md", report_markdown(results))
    report = out / "report.html"
    write_report(results, report)
    tell(results, report)
    return report


def check_same(out: Path, settings: ReproduceSettings) -> None:
    """Remember the settings of ``out`` at the first run; refuse others later."""
    path = out / "reproduce.json"
    now = json.loads(json.dumps(as_dict(settings)))
    if path.is_file() and fixed(json.loads(path.read_text(encoding="utf-8"))) != fixed(now):
        raise UserError(
            f"{out} holds a reproduction with other settings: choose another out, or delete it"
        )
    write_atomic(path, json.dumps(fixed(now), indent=1))


def fixed(values: dict[str, Any]) -> dict[str, Any]:
    """The settings that one reproduction keeps from its first run to its last."""
    kept = {name: value for name, value in values.items() if name not in (*FREE, "out")}
    settings = dict(kept["settings"])
    for group, free in (("run", FREE_OF_RUN["run"]), ("data", {"train", *FREE_OF_RUN["data"]})):
        part = settings[group]
        settings[group] = {name: value for name, value in part.items() if name not in free}
    return {**kept, "settings": settings}


def seconds_before(out: Path) -> dict[str, float]:
    """What the parts took when they were made: a run that only draws again must not forget it."""
    path = out / "results.json"
    if not path.is_file():
        return {}
    seconds: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["seconds"]
    return seconds


def whole_time(seconds: dict[str, float], jobs: int) -> float:
    """The seconds from beginning to end, where trainings ran ``jobs`` at a time.

    Of interrupted calls only the longest is known, so it is at least their sum over ``jobs``.
    """
    trainings = sum(value for part, value in seconds.items() if part.startswith("train "))
    took = max(seconds.get(SIDE_BY_SIDE, 0.0), trainings / jobs)
    return round(seconds.get("faces", 0.0) + took + seconds.get("judging", 0.0), 1)


def note(seconds: dict[str, float], part: str, started: float) -> None:
    """Keep the time of ``part``, or the longer one of an earlier run."""
    seconds[part] = max(seconds.get(part, 0.0), round(time.monotonic() - started, 1))


def described(put_in: Condition) -> dict[str, str]:
    """A condition for the report."""
    what = put_in.what if put_in.clean else f"{put_in.what}; the gallery stays clean"
    return {"key": put_in.key, "name": put_in.name, "what": what}


def judged_rows(
    settings: ReproduceSettings, rows: Rows, measured: Measured, conditions: list[Condition]
) -> list[dict[str, Any]]:
    """Every row and seed with its rates in each condition."""
    table = []
    for seed in range(settings.seeds):
        for key, row in rows:
            entry: dict[str, Any] = {
                "key": key,
                "name": row.name.format(K=settings.settings.model.sub_embeddings),
                "method": row.method,
                "seed": seed,
                "verification": {},
                "identification": {},
            }
            for put_in in conditions:
                cell = (key, seed, put_in.key)
                entry["verification"][put_in.key] = measured.verification(cell).to_dict()
                for gallery in measured.galleries:
                    part = "identification" if gallery == "single" else f"identification_{gallery}"
                    found = measured.identification(cell, gallery).to_dict()
                    entry.setdefault(part, {})[put_in.key] = found
            table.append(entry)
    return table


def keep_thresholds(
    settings: ReproduceSettings, rows: Rows, faces: ReproductionFaces, measured: Measured
) -> None:
    """Each model's threshold for `urface compare`: on the likelihood where a row has it, else the cosine."""
    for seed in range(settings.seeds):
        chosen_row = {}
        for key, row in rows:
            if row.model not in chosen_row or row.method == "likelihood":
                chosen_row[row.model] = (key, row)
        for key, row in chosen_row.values():
            path = model_path(settings, row.model, seed)
            calibration = load(path).facts.get("calibration")
            if calibration is None or calibration["method"] != row.method:
                scores = measured.outcomes[key, seed, "clean"].scores
                data = f"{faces.test_name}, clean"
                calibrate(path, scores, faces.pairs.same, row.method, data=data)


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
            "enrolled": len(set(faces.test.labels[faces.search.gallery].tolist())),
            "mated_probes": len(faces.search.mated),
            "nonmated_probes": len(faces.search.nonmated),
        },
    }


def tell(results: dict[str, Any], report: Path) -> None:
    """The last lines: what was found, and where to look."""
    for sentence in results["lead"]:
        print(sentence)
    for key in results["tables"]:
        print(f"{key}: {report.parent / 'tables' / key}.md")
    print(f"report: {report}")
