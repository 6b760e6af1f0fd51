"""Stage two: the uncertainty branch learns variances on genuine pairs, all else frozen (PFE's way)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from urface import distributed
from urface.config import TrainSettings, UncertaintySettings
from urface.data.ahead import worker_count
from urface.data.frames import Frames
from urface.data.loader import batches
from urface.data.sampler import PairSampler
from urface.environment import Environment
from urface.losses import genuine_pairs, uncertainty_loss
from urface.models.urface import URFace, add_uncertainty_head
from urface.training.branch_checkpoint import Branch, resume, save
from urface.training.diagnosis import BrokenStep, stop_not_finite
from urface.training.foreseen import Foreseen
from urface.training.logs import Log
from urface.training.loop import to_device
from urface.training.optim import clip_gradients
from urface.training.rollback import planned
from urface.training.signals import StopRequested, catch_termination
from urface.training.spikes import SpikeWatch
from urface.training.tensor_file import tensors_digest
from urface.types import FaceBatch, UserError

STAGE = "uncertainty"
Load = Callable[[Sequence[int]], Generator[FaceBatch, None, None]]


class Frozen(Protocol):
    """What stage two needs of a network; a URFace is one."""

    def trunk(self, images: Tensor) -> Tensor:
        """What the branch sees of a batch's images [B, ...], [B, F]."""
        ...

    def normalised(self, trunk: Tensor) -> Tensor:
        """The embedding [B, K, D] of that, unit length per sub-embedding."""
        ...

    def log_variance(self, trunk: Tensor) -> Tensor:
        """The branch's log sigma^2, [B, K] or [B, K, D]."""
        ...


def train_uncertainty(
    settings: TrainSettings, model: URFace, frames: Frames, env: Environment, progress: bool = True
) -> float:
    """Add an uncertainty branch to ``model`` and train it; nothing else changes, BatchNorm included.

    Goes on from the newest checkpoint of this stage. Every rank draws the same people, works on its share
    and sums gradients. Returns the seconds it took, interrupted runs included.
    """
    plan = settings.uncertainty
    model.requires_grad_(False).eval()
    frozen = tensors_digest(model.state_dict())
    head = add_uncertainty_head(model, plan.per_dimension).requires_grad_(True)
    sampler = pair_sampler(settings, frames.source.labels)
    share = rank_people(plan, sampler)

    def load(steps: Sequence[int]) -> Generator[FaceBatch, None, None]:
        return batches(
            frames,
            sampler.draw,
            steps,
            settings.variations,
            settings.model.input_size,
            settings.run.seed + 1,  # other augmentations than stage one's
            share,
            worker_count(settings.data.workers),
        )

    keys = frames.source.keys
    return train_branch(settings, model, head, load, keys, frozen, env, progress, frames)


def pair_sampler(settings: TrainSettings, labels: np.ndarray) -> PairSampler:
    """Which faces make up each step of stage two."""
    plan = settings.uncertainty
    return PairSampler(labels, plan.identities, plan.images_per_identity, settings.run.seed)


def train_branch(
    settings: TrainSettings,
    model: Frozen,
    head: Branch,
    load: Load,
    keys: list[str],
    frozen: str,
    env: Environment,
    progress: bool = True,
    frames: Frames | None = None,
) -> float:
    """Train ``head``, from which ``model`` has its variances; the seconds it took.

    ``load`` gives the batches of the steps that are to do, ``keys`` name their images, and ``frozen`` is
    a digest of what is not trained: a checkpoint made beside other weights is refused. ``frames`` are the
    images, where there are any: their corrupt ones are kept in checkpoints.
    """
    plan = settings.uncertainty
    parameters = list(head.parameters())
    # Adam, whose step does not depend on the scale of the loss: divided by K D, and through features
    # divided by the square root of their number, plain steps of this size moved almost nothing.
    optimizer = torch.optim.Adam(parameters, lr=plan.learning_rate)
    out = Path(settings.run.out)
    first, before = resume(settings, head, optimizer, frozen, env, frames)
    todo = planned(out, STAGE, first, plan.steps)
    watch = SpikeWatch(out, STAGE, first)

    def again(images: Tensor) -> list[Tensor]:
        return [model.log_variance(model.trunk(images))]

    clock = time.monotonic()
    bar = progress and distributed.rank() == 0
    with (
        catch_termination(settings.run.stop_seconds) as termination,
        Foreseen(load(todo.steps)) as ahead,
        Log(out, STAGE, first, plan.steps, bar) as log,
    ):
        for step, batch in zip(todo.steps, ahead, strict=True):
            falls = todo.updates(step) >= plan.decay_at * plan.steps
            rate = plan.learning_rate * (0.1 if falls else 1.0)
            for group in optimizer.param_groups:
                group["lr"] = rate
            images, labels = to_device(batch, env)
            with torch.no_grad(), env.autocast():
                trunk = model.trunk(images)
                mean = model.normalised(trunk)
            if todo.updates(step) == 0:
                start_at_distances(head, mean, trunk, labels)

            log_variance = model.log_variance(trunk)
            loss = rank_loss(mean, log_variance, labels)
            # A weight decay on the weights alone: the bias is the level of the variance itself.
            decay = plan.weight_decay * head.fc.weight.square().sum() / 2

            optimizer.zero_grad(set_to_none=True)
            (loss + decay).backward()
            for parameter in parameters:
                assert parameter.grad is not None
                distributed.all_reduce_sum(parameter.grad).div_(distributed.world_size())
            norm = clip_gradients(parameters, [], settings.optim.clip)
            finite = bool(torch.isfinite(loss.detach() + norm))
            flags = [termination.requested, not finite, ahead.failed]
            stop, broken, failed = distributed.any_of(flags, env.device)
            if broken:
                outputs = {"mean": mean, "log_variance": log_variance}
                terms = {"L_unc": loss}
                evidence = BrokenStep(
                    STAGE, step, rate, terms, norm, images, outputs, [], again, batch, keys
                )
                stop_not_finite(settings.run, evidence)
            optimizer.step()

            done = step + 1
            log.step()
            watch.note(done, loss)
            if done % settings.run.log_every == 0 or done == todo.end:
                joint = distributed.all_reduce_sum(loss.detach().clone()) / distributed.world_size()
                seconds = time.monotonic() - clock
                values = measured(joint, log_variance, done - first, seconds)
                log.write(done, {**values, "alerts": watch.look()})
            if done % settings.run.checkpoint_every == 0 or done == todo.end or stop:
                spent = before + time.monotonic() - clock
                save(settings, head, optimizer, frozen, done, spent, env, frames)
            if failed:
                ahead.give_up()
            if stop:
                watch.look()
                raise StopRequested(
                    f"stopped by a signal at step {done} of {STAGE}; run again to go on"
                )
    return before + time.monotonic() - clock


def rank_people(plan: UncertaintySettings, sampler: PairSampler) -> slice:
    """This rank's share of the people of a step, as a slice of its images.

    Raises UserError where there are fewer people than ranks.
    """
    people = len(sampler.draw(0).index) // plan.images_per_identity
    ranks = distributed.world_size()
    if people < ranks:
        raise UserError(
            f"stage two has {people} people a step for {ranks} ranks: use fewer ranks, raise "
            "uncertainty.identities, or give more people two images"
        )
    share = distributed.shard_of(people, distributed.rank(), ranks)
    return slice(share.start * plan.images_per_identity, share.stop * plan.images_per_identity)


def rank_loss(mean: Tensor, log_variance: Tensor, labels: Tensor) -> Tensor:
    """L_unc over this rank's pairs, weighted so that the mean over ranks is that over all their pairs.

    A rank can be left without a pair where images that cannot be decoded were replaced by others, and with
    very few people so can all.
    """
    pairs = len(genuine_pairs(labels)[0])
    weight = share_of_ranks(pairs, log_variance)
    if pairs == 0:
        return 0.0 * log_variance.sum()
    return uncertainty_loss(mean, log_variance.exp(), labels) * weight


def share_of_ranks(count: int, like: Tensor) -> float:
    """The weight of a rank's mean over ``count`` things in the mean over ranks, 1 where all have as many."""
    total = distributed.all_reduce_sum(torch.tensor(float(count), device=like.device))
    return count * distributed.world_size() / max(1.0, float(total))


def start_at_distances(head: Branch, mean: Tensor, trunk: Tensor, labels: Tensor) -> None:
    """Shift the bias so that the variances begin where the genuine distances say they are.

    L_unc is least at v_i + v_j = ||f_i - f_j||^2 / D for each pair (of one dimension, at its squared
    difference): started from the softmax's confidences, which know nothing of distances, the first
    hundreds of steps would only move this level.
    """
    first, second = genuine_pairs(labels)
    weight = share_of_ranks(len(first), mean)
    squares = (mean[first] - mean[second]).square()
    if head.fc.out_features == mean.shape[1]:
        squares = squares.mean(2)
    distance = squares.flatten(1).sum(0) / max(1, len(first))
    distributed.all_reduce_sum(distance.mul_(weight)).div_(distributed.world_size())
    level = (distance.clamp(min=1e-6 / mean.shape[2]) / 2).log()
    with torch.no_grad():
        now = -head(trunk).mean(0) * share_of_ranks(len(trunk), mean)
        distributed.all_reduce_sum(now).div_(distributed.world_size())
        head.fc.bias.add_(now - level)


def measured(loss: Tensor, log_variance: Tensor, steps: int, seconds: float) -> dict[str, float]:
    """What a line of the log says of a step."""
    values = log_variance.detach()
    return {
        "L_unc": float(loss.detach()),
        "sigma_mean": math.exp(0.5 * float(values.mean())),
        "log_variance_spread": float(values.std()),
        "steps_per_second": steps / seconds,
    }
