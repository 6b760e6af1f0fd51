"""`urface mine train`: theta_A learns attributes while an adversary tries to read the identity."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from urface import distributed
from urface.config import OptimSettings, VariationSettings, as_dict
from urface.config_mine import MineSettings
from urface.data.frames import Frames
from urface.data.loader import batches
from urface.data.open import open_faces
from urface.data.sampler import EpochSampler
from urface.data.source import FaceSource
from urface.data.split import hold_out_people
from urface.environment import environment, machine, placed, take_over
from urface.losses import attribute_loss, confusion_loss, identity_loss
from urface.models.attribute_files import AttributeModel, load_attributes, save_attributes
from urface.models.attributes import AttributeNet, IdentityDiscriminator
from urface.training import checkpoint
from urface.training.diagnosis import TrainingStopped
from urface.training.logs import Log
from urface.training.loop import to_device
from urface.training.one_at_a_time import one_at_a_time
from urface.training.optim import clip_gradients, schedule, set_rate
from urface.training.signals import StopRequested, catch_termination
from urface.types import UserError

MODEL, WITHOUT_ADVERSARY = "model.safetensors", "without_adversary.safetensors"
# Mirrored at random and nothing else: what is mined is found in clean training faces.
ONLY_FLIP = VariationSettings(low_resolution=0.0, occlusion=0.0, pose=0.0)
CLIP = 5.0

Sides = dict[str, tuple[nn.Module, torch.optim.Optimizer]]


def mining_faces(settings: MineSettings) -> tuple[FaceSource, FaceSource]:
    """The training people and the held-out people, with the settings' attributes as only columns.

    Raises UserError where the data are missing, lack an attribute or never say it of a training person.
    """
    if not settings.data:
        raise UserError("data is empty: name CelebA or a manifest with label columns")
    source = with_attributes(open_faces(settings.data), settings.attributes)
    train, held_out = hold_out_people(source, settings.hold_out, settings.run.seed)
    for name, values in zip(train.variation_names, train.variations.T, strict=True):
        if np.isnan(values).all():
            raise UserError(f"{source.name}: {name} is not known for anyone trained on")
    return train, held_out


def with_attributes(source: FaceSource, attributes: tuple[str, ...]) -> FaceSource:
    """``source`` with the columns ``attributes`` alone, named so, found in any case."""
    columns = []
    for name in attributes:
        # Two sets may write it in two ways: Smiling, smiling.
        same = [
            n for n, found in enumerate(source.variation_names) if found.lower() == name.lower()
        ]
        if not same:
            known = ", ".join(source.variation_names) or "none at all"
            raise UserError(f"{source.name}: no label {name!r}; it has {known}")
        values = source.variations[:, same]
        first = np.argmax(~np.isnan(values), 1)
        columns.append(values[np.arange(len(values)), first])
    return replace(source, variation_names=attributes, variations=np.stack(columns, 1))


def mine(settings: MineSettings, train: FaceSource, progress: bool = True) -> list[Path]:
    """Train on ``train`` and write <run.out>/model.safetensors, and with `compare` a second network.

    That one, without_adversary.safetensors, is alike in everything but the adversary. What is trained
    already is left as it is; an interrupted training goes on from its last checkpoint. The paths are
    returned. Raises UserError where the folder holds another run or one is running in it, TrainingStopped
    when the loss or a gradient is not finite.
    """
    if distributed.world_size() > 1:
        raise UserError("urface mine runs as one process: start it without torchrun")
    out = Path(settings.run.out)
    jobs = [(MODEL, settings.adversary)]
    if settings.compare and settings.adversary:
        jobs.append((WITHOUT_ADVERSARY, 0.0))
    frames: Frames | None = None
    with one_at_a_time(out):
        for file, adversary in jobs:
            if (out / file).is_file():
                _check_same(settings, load_attributes(out / file).facts["settings"])
                if progress:
                    print(f"{out / file}: trained already", file=sys.stderr)
                continue
            if frames is None:
                limits = settings.corrupt_share, settings.cache_gigabytes
                frames = Frames(train, settings.frame_size, *limits, progress)
            network, facts = train_attributes(settings, adversary, frames, progress)
            sizes = settings.frame_size, settings.input_size
            save_attributes(out / file, AttributeModel(network, *sizes, facts))
    return [out / file for file, _ in jobs]


def train_attributes(
    settings: MineSettings, adversary: float, frames: Frames, progress: bool = True
) -> tuple[AttributeNet, dict[str, Any]]:
    """One network against an adversary of that weight (0: none), and the facts of its training.

    Each step is one of both sides on the same features: D_A learns to name the person, and theta_A
    learns the attributes and to leave D_A guessing.
    """
    env = environment(settings.run)
    take_over(env, settings.run.threads)
    people = len(frames.source.identities)
    torch.manual_seed(settings.run.seed)
    network = placed(AttributeNet(settings.attributes), env.device)
    discriminator = IdentityDiscriminator(people).to(env.device)
    optimizer = _optimizer(network, settings.weight_decay)
    opponent = _optimizer(discriminator, 0.0)
    set_rate(opponent, settings.discriminator_rate)
    sampler = EpochSampler(len(frames.source), settings.batch_size, settings.run.seed)
    steps = max(1, round(settings.epochs * sampler.steps_per_epoch))
    rates = OptimSettings(learning_rate=settings.learning_rate)
    stage = "mine" if adversary else "mine_without_adversary"
    sides = {"network": (network, optimizer), "discriminator": (discriminator, opponent)}
    first, before = _resume(settings, stage, sides)
    network.train()
    clock = time.monotonic()
    loader = batches(
        frames, sampler.draw, range(first, steps), ONLY_FLIP, settings.input_size, settings.run.seed
    )
    out = Path(settings.run.out)
    with (
        closing(loader),
        catch_termination(settings.run.stop_seconds) as termination,
        Log(out, stage, first, steps, progress) as log,
    ):
        for step, batch in enumerate(loader, start=first):
            set_rate(optimizer, schedule(step, steps, rates))

            images, people_B = to_device(batch, env)
            labels_BA = torch.from_numpy(frames.source.variations[batch.index]).to(env.device)
            with env.autocast():
                features, logits_BA = network(images)
            terms = {"L_att": attribute_loss(logits_BA, labels_BA)}
            total = terms["L_att"]
            if adversary:
                terms["L_conf"] = confusion_loss(discriminator.frozen(features))
                total = total + adversary * terms["L_conf"]
                terms["L_D"] = identity_loss(discriminator(features.detach()), people_B)

            optimizer.zero_grad(set_to_none=True)
            opponent.zero_grad(set_to_none=True)
            # One pass serves both: `frozen` and `detach` keep each side's loss from the other's weights.
            torch.autograd.backward([total, terms["L_D"]] if adversary else [total])
            norm = clip_gradients(network.parameters(), [], CLIP)
            if adversary:
                norm = norm + clip_gradients(discriminator.parameters(), [], CLIP)
            if not bool(torch.isfinite(total.detach() + norm)):
                told = ", ".join(
                    f"{name} {float(value.detach()):.4g}" for name, value in terms.items()
                )
                raise TrainingStopped(
                    f"{stage}: not finite at step {step} ({told}, gradient norm {float(norm):.4g}): "
                    "lower learning_rate or adversary"
                )
            optimizer.step()
            opponent.step()  # without an adversary nothing has a gradient here, and nothing moves

            done = step + 1
            log.step()
            if done % settings.run.log_every == 0 or done == steps:
                values = {name: float(value.detach()) for name, value in terms.items()}
                log.write(done, {**values, "gradient_norm": float(norm)})
            stop = termination.requested
            spent = before + time.monotonic() - clock
            if done % settings.run.checkpoint_every == 0 or stop:
                _save(settings, stage, sides, done, spent)
            if stop:
                raise StopRequested(f"stopped by a signal at step {done}; run again to go on")
    facts = {
        "adversary": adversary,
        "images": len(frames.source),
        "identities": people,
        "corrupt": frames.corrupt,
        "steps": steps,
        "seconds": round(before + time.monotonic() - clock, 1),
        "chance_of_identity": 1 / people,
        "machine": machine(),
        "settings": as_dict(settings),
    }
    return network.eval(), facts


def _optimizer(module: nn.Module, decay: float) -> torch.optim.Optimizer:
    """AdamW; matrices and kernels are decayed, vectors are not."""
    groups = [
        {"params": [p for p in module.parameters() if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in module.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([{**group, "factor": 1.0} for group in groups], lr=0.0)


def _checkpoints(settings: MineSettings, stage: str) -> Path:
    return Path(settings.run.out) / "checkpoints" / stage


def _names(part: str, module: nn.Module) -> dict[int, str]:
    """Names by id, as training/checkpoint.py wants them."""
    return {id(p): f"{part}.{name}" for name, p in module.named_parameters()}


def _save(settings: MineSettings, stage: str, sides: Sides, step: int, seconds: float) -> None:
    tensors: dict[str, Tensor] = {}
    for part, (module, optimizer) in sides.items():
        tensors |= {f"{part}/{name}": value for name, value in module.state_dict().items()}
        tensors |= checkpoint.optimizer_tensors(optimizer, _names(part, module))
    values = {"settings": as_dict(settings), "seconds": seconds}
    checkpoint.save(_checkpoints(settings, stage), step, tensors, {}, values)


def _resume(settings: MineSettings, stage: str, sides: Sides) -> tuple[int, float]:
    """Load the newest whole checkpoint, if any; the step to go on with and the seconds spent so far."""
    found = checkpoint.load_latest(_checkpoints(settings, stage))
    if found is None:
        return 0, 0.0
    _check_same(settings, found.values["settings"])
    for part, (module, optimizer) in sides.items():
        start = f"{part}/"
        state = {k.removeprefix(start): v for k, v in found.shared.items() if k.startswith(start)}
        module.load_state_dict(state)
        checkpoint.restore_optimizer(optimizer, _names(part, module), found.shared)
    return found.step, float(found.values["seconds"])


# What may change without the trained networks being other ones.
FREE = {"compare", "probe_images", "corrupt_share", "cache_gigabytes", "run"}


def _check_same(settings: MineSettings, saved: dict[str, Any]) -> None:
    """Raise UserError that names the first setting in which the folder's run was another."""
    now = json.loads(json.dumps(as_dict(settings)))
    pairs = [(name, value, saved.get(name)) for name, value in now.items() if name not in FREE]
    pairs.append(("run.seed", now["run"]["seed"], saved["run"]["seed"]))
    for name, value, old in pairs:
        if old != value:
            raise UserError(
                f"{settings.run.out} holds a run with {name} {old}, not {value}: choose another "
                "run.out, or the same setting to go on with it"
            )
