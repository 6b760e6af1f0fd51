"""Put a trained and calibrated model into src/urface/box as the demonstration model, with its card.

    python scripts/make_box.py MODEL PEOPLE.json LFW.json

MODEL is what the commands in the header of recipes/demonstration.yaml made; the two JSON files are what
`urface evaluate --people others --json` and `urface evaluate --lfw ... --pairs ... --json` wrote of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from urface.config import ObjectiveSettings
from urface.models.box import BOX, DEMONSTRATION
from urface.models.files import load_model, save_model

NOT_FOR = [
    "any decision about a person: it was trained on made-up faces and errs often on photographs",
    "judging the method of the paper, or urface: its network and its training are small",
    "comparing groups of people: how its errors differ between them was not measured",
]


def card(people: dict[str, Any], lfw: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """What the model is, as plain JSON, figures with their intervals and counts."""
    settings = facts["settings"]
    judged, search = lfw["verification"], lfw["identification"]

    def at(rates: list[dict[str, Any]], far: float) -> dict[str, Any]:
        (found,) = [entry["tar"] for entry in rates if entry["far"] == far]
        return found

    return {
        "name": DEMONSTRATION,
        "architecture": "URFace, K = 16 sub-embeddings of 32 dimensions with confidences and variances; "
        f"{settings['model']['backbone']} trunk, {settings['model']['input_size']} x "
        f"{settings['model']['input_size']} pixels cut out of a face of {settings['model']['frame_size']}",
        "recipe": "urface/recipes/demonstration.yaml",
        "data": {
            "what": f"{facts['images']} synthetic faces of {facts['identities']} made-up people",
            "command": "urface data synthesize faces --identities 800 --shots 10 --seed 11",
        },
        "seed": settings["run"]["seed"],
        "training": {name: facts[name] for name in ("steps", "seconds", "machine")},
        "figures": {
            "synthetic": {
                "what": f"{people['people']} other synthetic people, 10-fold accuracy over 6,000 pairs",
                "accuracy": people["verification"]["accuracy"],
                "tar_at_far_0.01": at(people["verification"]["tar"], 0.01),
            },
            "lfw": {
                "what": "aligned LFW, View 2, likelihood score; used neither in training nor in choosing",
                "accuracy": judged["accuracy"],
                "tar_at_far_0.01": at(judged["tar"], 0.01),
                "rank_1_of_1680": search["closed"]["1"],
            },
        },
        "licence": "Apache-2.0, as urface; every image it was trained on was made by urface",
        "not_for": NOT_FOR,
    }


def main(model: str, people: str, lfw: str) -> int:
    network, settings, facts = load_model(model)
    facts["card"] = card(
        json.loads(Path(people).read_text()), json.loads(Path(lfw).read_text()), facts
    )
    facts["decision"]["demonstration"] = True
    # Where it was made is nobody's business, and a path of ours would mean nothing to a reader.
    facts["settings"]["data"]["train"] = "faces"
    facts["settings"]["run"]["out"] = "made"
    objective = {**facts["settings"]["objective"]}
    objective["decorrelate"] = tuple(objective["decorrelate"])
    out = BOX / f"{DEMONSTRATION}.safetensors"
    save_model(out, network, settings, ObjectiveSettings(**objective), facts)
    print(f"{out}: {out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
