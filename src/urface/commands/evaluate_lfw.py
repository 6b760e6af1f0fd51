"""`urface evaluate MODEL --lfw ... --pairs ...`: aligned LFW, clean or degraded, and calibration on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from urface.atomic import write_atomic
from urface.commands.parser import CommandParser, note
from urface.types import UserError

SUMMARY = """\
Judge a model on aligned LFW: 10-fold accuracy, TAR at FAR, and search in a gallery, each rate with
its 95 % interval and counts, as a table."""
EXAMPLES = """\
  urface evaluate runs/mine/model.safetensors --lfw lfw112.tar --pairs pairs.txt
  urface evaluate runs/mine --lfw lfw/ --pairs pairs.txt --degraded --json degraded.json
  urface evaluate runs/mine --lfw lfw/ --pairs pairs.txt --calibrate"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface evaluate", SUMMARY, EXAMPLES)
    parser.add("model", str, help="model.safetensors, the folder of a run, or demonstration")
    parser.add(
        "--lfw", str, required=True, help="aligned LFW, a folder or a tar of Name/Name_0001.jpg"
    )
    parser.add("--pairs", str, required=True, help="its pairs.txt")
    parser.add_flag("--degraded", help="degrade both faces of a pair and all probes")
    parser.add("--method", Literal["likelihood", "cosine"], "likelihood", help="the score")
    parser.add("--seed", int, 0, help="of the degradations")
    parser.add("--json", str, "", help="write the result to this file too")
    parser.add_flag(
        "--calibrate",
        help="keep in the model file what answers rest on: thresholds, probability, limits",
    )
    given = parser.read(arguments)
    if given.calibrate and given.degraded:
        raise UserError("--calibrate wants clean faces: leave out --degraded")
    from urface.data.open import open_faces
    from urface.embedder import load
    from urface.evaluation.calibration import calibrate, unsure_limit
    from urface.evaluation.lfw import evaluate_lfw
    from urface.evaluation.protocol import lfw_pairs
    from urface.models.box import model_path, refuse_to_change_the_box

    if given.calibrate:
        refuse_to_change_the_box(given.model)

    faces, pairs = open_faces(given.lfw), Path(given.pairs)
    same = lfw_pairs(pairs, faces).same  # read first: a wrong list should not cost an embedding
    embedder = load(given.model)
    judged = evaluate_lfw(
        embedder,
        faces,
        pairs,
        degraded=given.degraded,
        method=given.method,
        seed=given.seed,
    )
    print(judged.to_markdown())
    if given.json:
        write_atomic(given.json, json.dumps(judged.to_dict(), indent=1) + "\n")
    if given.calibrate:
        path = model_path(given.model)
        scores, data = judged.verification.scores, f"{Path(given.lfw).name}, clean"
        limit = unsure_limit(
            embedder, faces, judged.tested, judged.pairs, scores, given.method, seed=given.seed
        )
        found = calibrate(path, scores, same, given.method, data=data, unsure=limit)
        note(f"{path}: threshold {found['threshold']:.4g} on the {given.method} score kept")
    return 0
