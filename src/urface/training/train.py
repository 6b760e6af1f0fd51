"""`urface train`: settings in, a model file out."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import torch

from urface import distributed
from urface.atomic import write_atomic
from urface.config import RunSettings, TrainSettings, as_dict
from urface.data.frames import Frames
from urface.data.labels import attach_labels
from urface.data.meshes import Meshes, open_meshes
from urface.data.open import open_faces
from urface.data.source import FaceSource, first_identities, with_min_images
from urface.environment import Environment, environment, machine, placed, take_over
from urface.models.files import load_model, save_model
from urface.models.iresnet import recompute_blocks
from urface.models.urface import URFace, build_urface
from urface.training import checkpoint
from urface.training.branch_checkpoint import FOLDER as BRANCHES
from urface.training.branch_checkpoint import check_same_stage
from urface.training.diagnosis import RolledBack
from urface.training.loop import train_embedding
from urface.training.one_at_a_time import one_at_a_time
from urface.training.resume import check_same_settings
from urface.training.signals import StopRequested, catch_termination
from urface.training.uncertainty import train_uncertainty
from urface.types import UserError

MODEL = "model.safetensors"


def training_faces(settings: TrainSettings) -> FaceSource:
    """The training set that the settings describe. Raises UserError where it is missing or empty."""
    if not settings.data.train:
        raise UserError("data.train is empty: name a folder, a .tar or a manifest of faces")
    source = open_faces(settings.data.train, window=settings.data.shuffle_window)
    if settings.data.labels:
        source, without_row, _ = attach_labels(source, settings.data.labels)
        if without_row and distributed.rank() == 0:
            print(
                f"{settings.data.labels}: no row for {without_row:,} of {len(source):,} images",
                file=sys.stderr,
            )
    source = with_min_images(source, settings.data.min_images)
    if settings.data.identities:
        source = first_identities(source, settings.data.identities)
    return source


def training_meshes(settings: TrainSettings, source: FaceSource) -> Meshes | None:
    """The meshes that pose augmentation turns, None without it. Raises UserError where they are missing."""
    if not settings.variations.pose:
        return None
    if not settings.data.meshes:
        raise UserError(
            f"variations.pose is {settings.variations.pose} but data.meshes is empty: make them with "
            f"`urface data landmarks {settings.data.train or source.name} -o meshes.parquet`"
        )
    return open_meshes(settings.data.meshes, source)


def train(
    settings: TrainSettings,
    source: FaceSource | None = None,
    progress: bool = True,
    embedding: Path | None = None,
) -> Path:
    """Train both stages and write <run.out>/model.safetensors; its path.

    A finished run is left as it is; an interrupted one goes on from its last checkpoint. ``source``
    takes the place of data.train for callers that hold the faces already; ``embedding`` is a finished
    model of the same settings but those of stage two, which is then all that is trained. Under torchrun
    every rank calls this. Raises UserError (TrainingStopped when numbers are not finite), also while another
    training runs in run.out.
    """
    out = Path(settings.run.out)
    path = out / MODEL
    if path.is_file():
        _, _, facts = load_model(path)
        check_same_settings(settings, facts["settings"])
        check_same_stage(settings, facts["settings"], path)
        if progress:
            print(f"{path}: trained already", file=sys.stderr)
        return path
    env = environment(settings.run)
    take_over(env, settings.run.threads)
    with distributed.process_group(env.device, settings.run.timeout):
        source = source or distributed.first_alone(lambda: training_faces(settings))
        with ExitStack() as held:
            distributed.on_first(lambda: held.enter_context(one_at_a_time(out)))
            return _train(settings, source, out, progress, embedding)


def keep_settings(settings: TrainSettings) -> None:
    """Write settings.json into run.out, unless checkpoints there were trained otherwise: a UserError."""
    out = Path(settings.run.out)
    first = checkpoint.newest_values(out / "checkpoints")
    second = checkpoint.newest_values(out / BRANCHES)
    if first is not None:
        check_same_settings(settings, first["settings"])
    if second is not None:
        check_same_stage(settings, second["settings"], out / BRANCHES)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "settings.json", json.dumps(as_dict(settings), indent=1))


def prepared(model: URFace, settings: RunSettings, env: Environment) -> URFace:
    """``model`` on its device, in the memory format and compiled or recomputed as the settings say."""
    model.channels_last = settings.channels_last
    placed(model, env.device, settings.channels_last)
    if settings.recompute:
        recompute_blocks(model)
    if settings.compile != "none":
        # The trunk alone: it is nearly all of the work, and the heads leave autocast on their own.
        model.backbone.compile(mode=settings.compile)
    return model


def _train(
    settings: TrainSettings,
    source: FaceSource,
    out: Path,
    progress: bool,
    embedding: Path | None = None,
) -> Path:
    env = environment(settings.run)
    distributed.on_first(lambda: keep_settings(settings))
    frames = Frames(
        source,
        settings.model.frame_size,
        settings.data.corrupt_share,
        settings.data.cache_gigabytes,
        progress and distributed.rank() == 0,
        training_meshes(settings, source),
        out / "corrupt.jsonl",
    )
    # One flag for all that follows: a signal between the stages reaches the second.
    with catch_termination(settings.run.stop_seconds) as termination:
        while True:
            try:
                model, steps, seconds = _stages(settings, frames, env, progress, embedding)
                break
            except RolledBack as error:
                if distributed.rank() == 0:
                    print(f"{error}: going on from the last checkpoint", file=sys.stderr)
        _finish(settings, source, frames, model, steps, seconds, progress)
        if distributed.any_rank(termination.requested, env.device):
            raise StopRequested(f"stopped by a signal; {out / MODEL} is complete")
    return out / MODEL


def _stages(
    settings: TrainSettings,
    frames: Frames,
    env: Environment,
    progress: bool,
    embedding: Path | None,
) -> tuple[URFace, int, float]:
    """The model after both stages, the first's steps and the seconds of both."""
    torch.manual_seed(settings.run.seed)
    if embedding is None:
        model = prepared(build_urface(settings.model, settings.objective), settings.run, env)
        steps, seconds = train_embedding(settings, model, frames, env, progress)
    else:
        model, _, facts = load_model(embedding)
        check_same_settings(settings, facts["settings"])
        model, steps, seconds = prepared(model, settings.run, env), facts["steps"], 0.0
    if settings.uncertainty.steps:
        seconds += train_uncertainty(settings, model, frames, env, progress)
    return model, steps, seconds


def _finish(
    settings: TrainSettings,
    source: FaceSource,
    frames: Frames,
    model: URFace,
    steps: int,
    seconds: float,
    progress: bool,
) -> None:
    """Write the model file, rank 0 alone."""
    corrupt = frames.join_corrupt()
    if distributed.rank() == 0:
        if corrupt and progress:
            print(f"{len(corrupt)} images could not be decoded", file=sys.stderr)
        facts = {
            "identities": len(source.identities),
            "images": len(source),
            "corrupt": corrupt,
            "steps": steps,
            "seconds": round(seconds, 1),
            "machine": machine(),
            "settings": as_dict(settings),
        }
        path = Path(settings.run.out) / MODEL
        save_model(path, model, settings.model, settings.objective, facts)
    distributed.barrier()
