"""`urface train`: settings in, a model file out."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

from urface import distributed
from urface.atomic import write_atomic
from urface.config import TrainSettings, as_dict
from urface.data.frames import Frames
from urface.data.open import open_faces
from urface.data.source import FaceSource, first_identities, with_min_images
from urface.environment import environment, machine, placed, take_over
from urface.models.files import load_model, save_model
from urface.models.urface import build_urface
from urface.training.loop import check_same_settings, train_embedding
from urface.training.uncertainty import train_uncertainty
from urface.types import UserError

MODEL = "model.safetensors"


def training_faces(settings: TrainSettings) -> FaceSource:
    """The training set that the settings describe. Raises UserError where it is missing or empty."""
    if not settings.data.train:
        raise UserError("data.train is empty: name a folder, a .tar or a manifest of faces")
    source = with_min_images(open_faces(settings.data.train), settings.data.min_images)
    if settings.data.identities:
        source = first_identities(source, settings.data.identities)
    return source


def train(settings: TrainSettings, source: FaceSource | None = None, progress: bool = True) -> Path:
    """Train both stages and write <run.out>/model.safetensors; its path.

    A finished run is left as it is; an interrupted one goes on from its last checkpoint. ``source``
    takes the place of data.train for callers that hold the faces already. Under torchrun every rank
    calls this. Raises UserError (TrainingStopped when numbers are not finite).
    """
    out = Path(settings.run.out)
    path = out / MODEL
    if path.is_file():
        _, _, facts = load_model(path)
        check_same_settings(settings, facts["settings"])
        if progress:
            print(f"{path}: trained already", file=sys.stderr)
        return path
    env = environment(settings.run)
    take_over(env, settings.run.threads)
    with distributed.process_group(env.device):
        return _train(settings, source or training_faces(settings), out, progress)


def _train(settings: TrainSettings, source: FaceSource, out: Path, progress: bool) -> Path:
    env = environment(settings.run)
    if distributed.rank() == 0:
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / "settings.json", json.dumps(as_dict(settings), indent=1))
    distributed.barrier()
    frames = Frames(
        source,
        settings.model.frame_size,
        settings.data.corrupt_share,
        settings.data.cache_gigabytes,
        progress and distributed.rank() == 0,
    )
    torch.manual_seed(settings.run.seed)
    model = placed(build_urface(settings.model, settings.objective), env.device)
    steps, seconds = train_embedding(settings, model, frames, env, progress)
    started = time.monotonic()
    if settings.uncertainty.steps:
        train_uncertainty(settings, model, frames, env, progress)
    if distributed.rank() == 0:
        if frames.corrupt and progress:
            print(f"{len(frames.corrupt)} images could not be decoded", file=sys.stderr)
        facts = {
            "identities": len(source.identities),
            "images": len(source),
            "corrupt": frames.corrupt,
            "steps": steps,
            "seconds": round(seconds + time.monotonic() - started, 1),
            "machine": machine(),
            "settings": as_dict(settings),
        }
        save_model(out / MODEL, model, settings.model, settings.objective, facts)
    distributed.barrier()
    return out / MODEL
