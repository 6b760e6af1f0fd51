"""`urface train`."""

from __future__ import annotations

import os

from urface.commands.settings import read_settings
from urface.config import TrainSettings

SUMMARY = """\
Train both stages, the embedding and then its uncertainty, and write <run.out>/model.safetensors.
An interrupted run goes on from its last checkpoint when it is started again; a finished one is left
as it is. Settings come from the recipe, then from each --config, then from the options below."""
EXAMPLES = """\
  urface train --recipe cpu-small --data.train faces.tar --run.out runs/mine
  urface train --recipe paper --data.train ms1m/manifest.parquet --optim.batch_size 512
  torchrun --nproc-per-node 2 -m urface train --recipe cpu-small --data.train faces/"""


def run(arguments: list[str]) -> int:
    settings = read_settings(TrainSettings, "urface train", SUMMARY, EXAMPLES, arguments)
    from urface.training.train import train

    path = train(settings)
    if os.environ.get("RANK", "0") == "0":
        print(path)
    return 0
