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
    parser.add("model", str, help="model.safetensors, or the folder of a run")
    parser.add(
        "--lfw", str, required=True, help="aligned LFW, a folder or a tar of Name/Name_0001.jpg"
    )
    parser.add("--pairs", str, required=True, help="its pairs.txt")
    parser.add_flag("--degraded", help="degrade both faces of a pair and all probes")
    parser.add("--method", Literal["likelihood", "cosine"], "likelihood", help="the score")
    parser.add("--seed", int, 0, help="of the degradations")
    parser.add("--json", str, "", help="write the result to this file too")
    parser.add_flag(
        "--calibrate", help="keep in the model file the threshold that `urface compare` judges by"
    )
    given = parser.read(arguments)
    if given.calibrate and given.degraded:
        raise UserError("--calibrate wants clean faces: leave out --degraded")
    from urface.data.open import open_faces
    from urface.embedder import load
    from urface.evaluation.calibration import calibrate
    from urface.evaluation.lfw import evaluate_lfw
    from urface.evaluation.protocol import lfw_pairs

    faces, pairs = open_faces(given.lfw), Path(given.pairs)
    same = lfw_pairs(pairs, faces).same  # read first: a wrong list should not cost an embedding
    judged = evaluate_lfw(
        load(given.model),
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
        path = Path(given.model)
        path = path / "model.safetensors" if path.is_dir() else path
        scores = judged.verification.scores
        found = calibrate(path, scores, same, given.method, data=f"{Path(given.lfw).name}, clean")
        note(f"{path}: threshold {found['threshold']:.4g} on the {given.method} score kept")
    return 0
