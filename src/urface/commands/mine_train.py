"""`urface mine train`."""

from __future__ import annotations

import json
from pathlib import Path

from urface.atomic import write_atomic
from urface.commands.settings import read_settings
from urface.config_mine import MineSettings

SUMMARY = """\
Train the network that labels a training set with further variations: attributes are learned while an
adversary tries to read the identity off the features. Writes <run.out>/model.safetensors, report.md
and results.json: each attribute on people not seen in training, and how well a fresh classifier names
people from the features with the adversary and without. An interrupted run goes on when started
again."""
EXAMPLES = """\
  urface mine train --data celeba.tar --run.out runs/mine
  urface mine train --data celeba/ --attributes "[smiling, young, male, eyeglasses]"
  urface mine train --data faces/manifest.parquet --adversary 0 --epochs 5"""


def run(arguments: list[str]) -> int:
    settings = read_settings(
        MineSettings, "urface mine train", SUMMARY, EXAMPLES, arguments, recipe="mine"
    )
    from urface.environment import environment
    from urface.evaluation.mining import judge_mining
    from urface.models.attribute_files import load_attributes
    from urface.training.mine import mine, mining_faces

    train, held_out = mining_faces(settings)
    paths = mine(settings, train)
    models = []
    for path in paths:
        model = load_attributes(path)
        models.append(("with the adversary" if model.facts["adversary"] else "without", model))
    report = judge_mining(
        models,
        train,
        held_out,
        environment(settings.run),
        settings.probe_images,
        settings.run.seed,
    )
    out = Path(settings.run.out)
    write_atomic(out / "results.json", json.dumps(report.to_dict(), indent=1) + "\n")
    write_atomic(out / "report.md", report.to_markdown())
    print(report.to_markdown())
    print(paths[0])
    return 0
