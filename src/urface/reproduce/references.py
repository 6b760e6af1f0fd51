"""What needs no training: raw pixels and an untrained network on the same pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from urface.atomic import write_atomic
from urface.config import TrainSettings
from urface.config_reproduce import ReproduceSettings
from urface.data.frames import Frames
from urface.data.source import images_digest
from urface.embedder import Embedder
from urface.environment import placed
from urface.evaluation.conditions import Condition
from urface.evaluation.embedding import embed_test_set
from urface.evaluation.judge import verify
from urface.evaluation.pixels import embed_pixels
from urface.models.urface import build_urface
from urface.reproduce.faces import ReproductionFaces
from urface.reproduce.grid import say


def judge_references(
    settings: ReproduceSettings,
    faces: ReproductionFaces,
    conditions: list[Condition],
    progress: bool,
) -> list[dict[str, Any]]:
    """Verification of both references in every condition; kept in <out>/outcomes/references.json."""
    path = Path(settings.out) / "outcomes" / "references.json"
    stamp = f"{faces.protocol.digest()} {images_digest(faces.test)}"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found: dict[str, Any] = kept["found"] if kept.get("stamp") == stamp else {}
    todo = [put_in for put_in in conditions if put_in.key + put_in.stamp not in found]
    if todo:
        say(progress, "judging raw pixels and an untrained network")
        embedder = untrained(settings.settings, faces)
        needed = np.concatenate([faces.pairs.left, faces.pairs.right])
    for put_in in todo:
        pixels = embed_pixels(faces.test, put_in, needed)
        random = embed_test_set(embedder, faces.test, put_in, needed=needed, progress=progress)
        found[put_in.key + put_in.stamp] = [
            verify(tested, tested, faces.pairs, "cosine").to_dict() for tested in (pixels, random)
        ]
    write_atomic(path, json.dumps({"stamp": stamp, "found": found}))
    return [
        {"name": name, "verification": {c.key: found[c.key + c.stamp][place] for c in conditions}}
        for place, name in enumerate(("Raw pixels", "Untrained network"))
    ]


def untrained(base: TrainSettings, faces: ReproductionFaces) -> Embedder:
    """The recipe's network with random weights and fitted BatchNorm statistics."""
    torch.manual_seed(0)
    network = placed(build_urface(base.model, base.objective), torch.device("cpu"))
    fit_batch_norm(network, faces, base)
    return Embedder(network, base.model)


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
