"""`urface evaluate MODEL --people ...`: any identified aligned faces, and calibration on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from urface.atomic import write_atomic
from urface.commands.parser import CommandParser, note

SUMMARY = """\
Judge a model on people whom it was not trained on, pairs of whom are drawn: 10-fold accuracy and TAR at FAR,
each with its 95 % interval and counts. With --calibrate the model file keeps what its answers rest on."""
EXAMPLES = """\
  urface evaluate runs/mine --people others/
  urface evaluate runs/mine --people others.tar --calibrate --json judged.json"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface evaluate", SUMMARY, EXAMPLES)
    parser.add("model", str, help="model.safetensors, the folder of a run, or demonstration")
    parser.add(
        "--people", str, required=True, help="aligned faces: identity/image, a tar or a manifest"
    )
    parser.add("--method", Literal["likelihood", "cosine"], "likelihood", help="the score")
    parser.add("--seed", int, 0, help="of the pairs")
    parser.add("--json", str, "", help="write the result to this file too")
    parser.add_flag(
        "--calibrate",
        help="keep in the model file what answers rest on: thresholds, probability, limits",
    )
    parser.add("--data", str, "", help="what the faces are, in a few words, for --calibrate")
    given = parser.read(arguments)

    from urface.data.open import open_faces
    from urface.embedder import load
    from urface.evaluation.calibration import calibrate
    from urface.evaluation.people import evaluate_people, limit_of
    from urface.models.box import model_path, refuse_to_change_the_box

    if given.calibrate:
        refuse_to_change_the_box(given.model)
    faces, embedder = open_faces(given.people), load(given.model)
    judged = evaluate_people(embedder, faces, method=given.method, seed=given.seed)
    print(judged.to_markdown())
    if given.json:
        write_atomic(given.json, json.dumps(judged.to_dict(), indent=1) + "\n")
    if given.calibrate:
        path = model_path(given.model)
        limit = limit_of(judged, embedder, faces, given.seed)
        data = given.data or f"{Path(given.people).name}, clean"
        same = judged.pairs.same
        found = calibrate(path, judged.scores, same, given.method, data=data, unsure=limit)
        note(f"{path}: threshold {found['threshold']:.4g} on the {given.method} score kept")
    return 0
