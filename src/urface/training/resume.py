"""What a run of stage one is saved as, and how it goes on from there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from urface.config import TrainSettings, as_dict
from urface.data.frames import Frames
from urface.models.prototypes import Prototypes
from urface.models.urface import URFace
from urface.training import checkpoint
from urface.training.decorrelation import Decorrelation
from urface.types import UserError


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
        "corrupt": frames.join_corrupt(),
        "seconds": seconds,
    }
    checkpoint.save(Path(settings.run.out) / "checkpoints", step, shared, own, values)


def resume(settings: TrainSettings, trained: Trained, frames: Frames) -> tuple[int, float]:
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
    joined = found.rows(prototypes.shard)
    with torch.no_grad():
        prototypes.weight.copy_(joined.pop("prototypes"))
    names = parameter_names(trained)
    checkpoint.restore_optimizer(trained.optimizer, names, {**found.shared, **joined})
    if trained.decorrelation is not None:
        trained.decorrelation.classifier.load_state_dict(part_of(found.shared, "classifier/"))
        checkpoint.restore_optimizer(trained.decorrelation.optimizer, names, found.shared)
    checkpoint.restore_random_states(found.shared, prototypes.weight.device)
    frames.restore_corrupt(found.values["corrupt"])
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
FREE = {
    "data": {"workers", "corrupt_share", "cache_gigabytes"},
    "run": {
        *("device", "threads", "log_every", "checkpoint_every", "out"),
        *("channels_last", "compile", "fused", "recompute"),  # the same numbers up to rounding
        *("on_non_finite", "timeout", "stop_seconds"),
    },
}


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
