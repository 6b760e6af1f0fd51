"""Stage one: the embedding and its confidences, trained on identities."""

from __future__ import annotations

import time
from pathlib import Path

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from urface import distributed
from urface.config import TrainSettings
from urface.data.ahead import worker_count
from urface.data.frames import Frames
from urface.data.loader import batches
from urface.data.sampler import EpochSampler
from urface.data.storage import blocks_of
from urface.environment import Environment
from urface.models.prototypes import Prototypes
from urface.models.urface import URFace
from urface.training.decorrelation import build_decorrelation, sub_embedding_correlation
from urface.training.diagnosis import BrokenStep, stop_not_finite
from urface.training.foreseen import Foreseen
from urface.training.logs import Log
from urface.training.optim import (
    build_optimizer,
    clip_gradients,
    fused_for,
    schedule,
    set_rate,
    update,
)
from urface.training.resume import Trained, resume, save
from urface.training.rollback import planned
from urface.training.signals import StopRequested, catch_termination
from urface.training.spikes import SpikeWatch
from urface.training.step import differentiate
from urface.training.watch import Watch, reads_late
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
    stored = settings.objective.prototypes
    prototypes = Prototypes(classes, sub_embeddings, dim, settings.run.seed, stored).to(env.device)
    fused = fused_for(settings, env.device)
    optimizer = build_optimizer(model, prototypes, settings.optim, fused)
    # Rows that rest and bf16 are moved by our own code, which does not know of a skipped step.
    plain = stored == "fp32" and settings.objective.sample_classes == 1
    late = plain and reads_late(optimizer, env.device)
    decorrelation = build_decorrelation(settings, model, frames, fused=late)
    trained = Trained(model, prototypes, optimizer, decorrelation)
    sampler = epoch_sampler(settings, frames)
    steps = max(1, round(settings.optim.epochs * sampler.steps_per_epoch))
    first, before = resume(settings, trained, frames)
    plan = planned(out, STAGE, first, steps)
    spikes = SpikeWatch(out, STAGE, first)
    network: nn.Module = model
    if distributed.world_size() > 1:
        network = DistributedDataParallel(model)
    model.train()
    clock = time.monotonic()
    loader = batches(
        frames,
        sampler.draw,
        plan.steps,
        settings.variations,
        settings.model.input_size,
        settings.run.seed,
        rank_part(settings.optim.batch_size, settings.optim.accumulate),
        worker_count(settings.data.workers),
    )
    bar = progress and distributed.rank() == 0
    watch = Watch(late)
    with (
        catch_termination(settings.run.stop_seconds) as termination,
        Foreseen(loader, 2 if late else 1) as ahead,
        Log(out, STAGE, first, steps, bar) as log,
    ):
        for step, batch in zip(plan.steps, ahead, strict=True):
            rate = schedule(plan.updates(step), steps, settings.optim)
            set_rate(optimizer, rate)

            images, labels = to_device(batch, env)
            shown = None
            if decorrelation is not None:
                shown = decorrelation.labels(batch.variations, env)
            learning = float(step >= settings.optim.confidence_start * steps)
            optimizer.zero_grad(set_to_none=True)
            found = differentiate(
                settings, network, trained, images, labels, shown, env, learning, step
            )
            norm = clip_gradients(model.parameters(), prototypes.parameters(), settings.optim.clip)

            done = step + 1
            logs = done % settings.run.log_every == 0 or done == plan.end
            saves = done % settings.run.checkpoint_every == 0 or done == plan.end
            # A signal or a fault in the data may reach one rank alone, and all must end together.
            asked = (termination.requested, ahead.failed)
            skip = watch.ask(step, rate, found, norm, images, batch, *asked)
            broken, stop, failed = watch.read(logs or saves)
            if broken is not None:
                stop_not_finite(
                    settings.run,
                    BrokenStep(
                        STAGE,
                        broken.step,
                        broken.rate,
                        broken.found.named,
                        broken.norm,
                        broken.images,
                        {"mean": broken.found.mean, "confidence": broken.found.confidence},
                        [broken.found.gradient],
                        model,
                        broken.batch,
                        frames.source.keys,
                    ),
                )
            update(optimizer, skip)
            if decorrelation is not None:
                assert found.masked is not None
                decorrelation.learn(found.mean, found.masked, skip)

            log.step()
            spikes.note(done, found.total)
            if logs:
                seconds = time.monotonic() - clock
                values = measured(found.named, norm, found.confidence, rate, done - first, seconds)
                if settings.model.sub_embeddings > 1:
                    centres = prototypes.weight.detach()
                    values["correlation"] = sub_embedding_correlation(
                        found.means, found.labels, centres, prototypes.first_class
                    )
                if decorrelation is not None:
                    values |= decorrelation.log.values()
                values["alerts"] = spikes.look()
                log.write(done, values)
            if saves or stop:
                spent = before + time.monotonic() - clock
                save(settings, trained, done, frames, spent)
            if failed:
                ahead.give_up()
            if stop:
                spikes.look()
                raise StopRequested(f"stopped by a signal at step {done}; run again to go on")
    distributed.same_buffers(model)
    return steps, before + time.monotonic() - clock


def epoch_sampler(settings: TrainSettings, frames: Frames) -> EpochSampler:
    """Which faces make up each step of stage one."""
    count, window = len(frames.source), settings.data.shuffle_window
    blocks = blocks_of(frames.source.read_bytes, count) if window else None
    return EpochSampler(count, settings.optim.batch_size, settings.run.seed, blocks, window)


def rank_part(batch_size: int, accumulate: int = 1) -> slice:
    """This rank's share of a batch of all ranks together, which goes through in ``accumulate`` parts."""
    world = distributed.world_size()
    if batch_size % world:
        raise UserError(f"optim.batch_size {batch_size} is not a multiple of the {world} ranks")
    share = batch_size // world
    if share < 2:
        raise UserError(
            f"optim.batch_size {batch_size} leaves a rank {share} image, and batch normalisation compares "
            f"them: at least {2 * world}"
        )
    if accumulate > 1 and (share % accumulate or share < 2 * accumulate):
        raise UserError(
            f"optim.accumulate {accumulate} does not cut a rank's {share} images into equal parts of at "
            "least 2: choose a divisor of them"
        )
    return slice(distributed.rank() * share, (distributed.rank() + 1) * share)


def to_device(batch: FaceBatch, env: Environment) -> tuple[Tensor, Tensor]:
    """Images and labels as tensors on the device."""
    return env.tensor(batch.images), env.tensor(batch.labels)


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
