"""Stage one: the embedding and its confidences, trained on identities."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from urface import distributed
from urface.config import TrainSettings, as_dict
from urface.data.ahead import worker_count
from urface.data.frames import Frames
from urface.data.loader import batches
from urface.data.sampler import EpochSampler
from urface.data.storage import blocks_of
from urface.environment import Environment
from urface.losses import objective
from urface.models.heads import scale_gradient
from urface.models.prototypes import Prototypes
from urface.models.urface import URFace
from urface.training import checkpoint
from urface.training.decorrelation import (
    Decorrelation,
    build_decorrelation,
    sub_embedding_correlation,
)
from urface.training.diagnosis import stop_not_finite
from urface.training.logs import Log
from urface.training.optim import build_optimizer, clip_gradients, schedule, set_rate
from urface.training.signals import StopRequested, catch_termination
from urface.types import FaceBatch, UserError

STAGE = "embedding"


def train_embedding(
    settings: TrainSettings, model: URFace, frames: Frames, env: Environment, progress: bool = True
) -> tuple[int, float]:
    """Train ``model`` in place to the last step, from the newest checkpoint if there is one.

    Returns the number of steps and the seconds they took, interrupted runs included. Raises
    TrainingStopped when a loss or gradient is not finite.
    """
    out = Path(settings.run.out)
    classes = len(frames.source.identities)
    sub_embeddings = settings.model.sub_embeddings
    dim = settings.model.embedding_dim // sub_embeddings
    prototypes = Prototypes(classes, sub_embeddings, dim, settings.run.seed).to(env.device)
    optimizer = build_optimizer(model, prototypes, settings.optim)
    decorrelation = build_decorrelation(settings, model, frames)
    trained = Trained(model, prototypes, optimizer, decorrelation)
    sampler = epoch_sampler(settings, frames)
    steps = max(1, round(settings.optim.epochs * sampler.steps_per_epoch))
    first, before = resume(settings, trained)
    network: nn.Module = model
    if distributed.world_size() > 1:
        network = DistributedDataParallel(model)
    model.train()
    clock = time.monotonic()
    loader = batches(
        frames,
        sampler.draw,
        range(first, steps),
        settings.variations,
        settings.model.input_size,
        settings.run.seed,
        rank_part(settings.optim.batch_size),
        worker_count(settings.data.workers),
    )
    bar = progress and distributed.rank() == 0
    with catch_termination() as termination, Log(out, STAGE, first, steps, bar) as log:
        for step, batch in enumerate(loader, start=first):
            rate = schedule(step, steps, settings.optim)
            set_rate(optimizer, rate)

            images, labels = to_device(batch, env)
            with env.autocast():
                features = network(images)
            # The network too would learn to talk the confidence down, so its gradient rests, not only
            # the branch's rate.
            learning = float(step >= settings.optim.confidence_start * steps)
            confidence = scale_gradient(features.log_confidence, learning).exp()
            masked = None
            if decorrelation is not None:
                masked = decorrelation.judge(features.mean, decorrelation.labels(batch.variations))
            means = distributed.gather(features.mean)
            all_labels = distributed.gather(labels)
            centres = prototypes()
            terms = objective(
                settings.objective,
                means,
                distributed.gather(confidence),
                all_labels,
                centres,
                first_class=prototypes.first_class,
                own_confidence_BK=confidence,
                masked=masked,
            )

            optimizer.zero_grad(set_to_none=True)
            terms.total.backward()
            norm = clip_gradients(model.parameters(), prototypes.parameters(), settings.optim.clip)
            if not bool(torch.isfinite(terms.total.detach() + norm)):
                keys = frames.source.keys
                stop_not_finite(out, STAGE, step, rate, terms.named, norm, confidence, batch, keys)
            optimizer.step()
            if decorrelation is not None:
                assert masked is not None
                decorrelation.learn(features.mean, masked)

            done = step + 1
            log.step()
            if done % settings.run.log_every == 0 or done == steps:
                seconds = time.monotonic() - clock
                values = measured(terms.named, norm, confidence, rate, done - first, seconds)
                if settings.model.sub_embeddings > 1:
                    values["correlation"] = sub_embedding_correlation(
                        means.detach(), all_labels, centres.detach(), prototypes.first_class
                    )
                if decorrelation is not None:
                    values |= decorrelation.log.values()
                log.write(done, values)
            # A signal may reach one rank alone, and all must save together.
            stop = distributed.any_rank(termination.requested, env.device)
            if done % settings.run.checkpoint_every == 0 or done == steps or stop:
                spent = before + time.monotonic() - clock
                save(settings, trained, done, frames, spent)
            if stop:
                raise StopRequested(f"stopped by a signal at step {done}; run again to go on")
    return steps, before + time.monotonic() - clock


def epoch_sampler(settings: TrainSettings, frames: Frames) -> EpochSampler:
    """Which faces make up each step of stage one."""
    count, window = len(frames.source), settings.data.shuffle_window
    blocks = blocks_of(frames.source.read_bytes, count) if window else None
    return EpochSampler(count, settings.optim.batch_size, settings.run.seed, blocks, window)


def rank_part(batch_size: int) -> slice:
    """This rank's share of a batch of all ranks together."""
    world = distributed.world_size()
    if batch_size % world:
        raise UserError(f"optim.batch_size {batch_size} is not a multiple of the {world} ranks")
    share = batch_size // world
    return slice(distributed.rank() * share, (distributed.rank() + 1) * share)


def to_device(batch: FaceBatch, env: Environment) -> tuple[Tensor, Tensor]:
    """Images and labels as tensors on the device."""
    images = torch.from_numpy(batch.images).to(env.device, non_blocking=True)
    return images, torch.from_numpy(batch.labels).to(env.device, non_blocking=True)


def measured(
    terms: dict[str, Tensor],
    norm: Tensor,
    confidence: Tensor,
    rate: float,
    steps: int,
    seconds: float,
) -> dict[str, float]:
    """What a line of the log says of a step."""
    detached = confidence.detach()
    return {
        **{name: float(value.detach()) for name, value in terms.items()},
        "confidence_mean": float(detached.mean()),
        "confidence_smallest": float(detached.min()),
        "confidence_largest": float(detached.max()),
        "gradient_norm": float(norm),
        "learning_rate": rate,
        "steps_per_second": steps / seconds,
    }


@dataclass(frozen=True, eq=False)
class Trained:
    """Everything that a step changes."""

    model: URFace
    prototypes: Prototypes
    optimizer: torch.optim.Optimizer
    decorrelation: Decorrelation | None


def save(
    settings: TrainSettings, trained: Trained, step: int, frames: Frames, seconds: float
) -> None:
    """Write a checkpoint from which `resume` goes on as if nothing had happened."""
    prototypes = trained.prototypes
    names = parameter_names(trained)
    mine = checkpoint.optimizer_tensors(trained.optimizer, names)
    shared: dict[str, Tensor] = {f"model/{k}": v for k, v in trained.model.state_dict().items()}
    if trained.decorrelation is not None:
        state = trained.decorrelation.classifier.state_dict()
        shared |= {f"classifier/{k}": v for k, v in state.items()}
        mine |= checkpoint.optimizer_tensors(trained.decorrelation.optimizer, names)
    shared |= {k: v for k, v in mine.items() if not k.startswith("optimizer/prototypes.")}
    shared |= checkpoint.random_states(prototypes.weight.device)
    own: dict[str, Tensor] = {"prototypes": prototypes.weight}
    own |= {k: v for k, v in mine.items() if k.startswith("optimizer/prototypes.")}
    values: dict[str, Any] = {
        "settings": as_dict(settings),
        "classes": prototypes.classes,
        "corrupt": frames.corrupt,
        "seconds": seconds,
    }
    checkpoint.save(Path(settings.run.out) / "checkpoints", step, shared, own, values)


def resume(settings: TrainSettings, trained: Trained) -> tuple[int, float]:
    """Load the newest whole checkpoint, if any; the step to go on with and the seconds spent so far.

    The prototypes of all ranks are joined and cut anew, so that the number of ranks may change.
    """
    found = checkpoint.load_latest(Path(settings.run.out) / "checkpoints")
    if found is None:
        return 0, 0.0
    check_same_settings(settings, found.values["settings"])
    prototypes = trained.prototypes
    if found.values["classes"] != prototypes.classes:
        raise UserError(
            f"the checkpoint in {settings.run.out} knows {found.values['classes']} people, the data "
            f"has {prototypes.classes}: choose another run.out"
        )
    trained.model.load_state_dict(part_of(found.shared, "model/"))
    rows = slice(prototypes.shard.start, prototypes.shard.stop)
    joined = {
        name: torch.cat([part[name] for part in found.parts])[rows]
        if found.parts[0][name].ndim
        else found.parts[0][name]
        for name in found.parts[0]
    }
    with torch.no_grad():
        prototypes.weight.copy_(joined.pop("prototypes"))
    names = parameter_names(trained)
    checkpoint.restore_optimizer(trained.optimizer, names, {**found.shared, **joined})
    if trained.decorrelation is not None:
        trained.decorrelation.classifier.load_state_dict(part_of(found.shared, "classifier/"))
        checkpoint.restore_optimizer(trained.decorrelation.optimizer, names, found.shared)
    checkpoint.restore_random_states(found.shared, prototypes.weight.device)
    return found.step, float(found.values["seconds"])


def part_of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def parameter_names(trained: Trained) -> dict[int, str]:
    """Names by id; dots inside, never a slash."""
    names = {id(p): f"model.{name}" for name, p in trained.model.named_parameters()}
    names[id(trained.prototypes.weight)] = "prototypes.weight"
    if trained.decorrelation is not None:
        for name, parameter in trained.decorrelation.classifier.named_parameters():
            names[id(parameter)] = f"classifier.{name}"
    return names


# What a resumed run may change without being another run.
FREE = {"data": {"workers"}, "run": {"device", "threads", "log_every", "checkpoint_every", "out"}}


def check_same_settings(settings: TrainSettings, saved: dict[str, Any]) -> None:
    """Raise UserError that names the first setting in which the checkpoint was trained otherwise."""
    now = json.loads(json.dumps(as_dict(settings)))
    # A run from before a setting existed was trained as its default does.
    defaults = json.loads(json.dumps(as_dict(TrainSettings())))
    for group, values in now.items():
        for name, value in values.items():
            old = saved.get(group, {}).get(name, defaults[group][name])
            if name not in FREE.get(group, set()) and group != "uncertainty" and old != value:
                raise UserError(
                    f"{settings.run.out} holds a run with {group}.{name} {old}, not {value}: choose "
                    "another run.out, or the same setting to go on with it"
                )
