"""Checkpoints of stage two: the branch, its optimiser, and what the branch was trained beside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from urface.config import TrainSettings, as_dict
from urface.data.frames import Frames
from urface.environment import Environment
from urface.models.heads import ConfidenceHead
from urface.models.output_branch import OutputBranch
from urface.training import checkpoint
from urface.types import UserError

FOLDER = "checkpoints_uncertainty"
Branch = ConfidenceHead | OutputBranch


def save(
    settings: TrainSettings,
    head: Branch,
    optimizer: torch.optim.Optimizer,
    frozen: str,
    step: int,
    seconds: float,
    env: Environment,
    frames: Frames | None = None,
) -> None:
    """Write a checkpoint of the branch alone, from which `resume` goes on as if nothing had happened."""
    tensors = {f"head/{name}": value for name, value in head.state_dict().items()}
    tensors |= checkpoint.optimizer_tensors(optimizer, head_names(head))
    tensors |= checkpoint.random_states(env.device)
    values = {
        "settings": as_dict(settings),
        "frozen": frozen,
        "corrupt": frames.join_corrupt() if frames is not None else {},
        "seconds": seconds,
    }
    checkpoint.save(Path(settings.run.out) / FOLDER, step, tensors, {}, values)


def resume(
    settings: TrainSettings,
    head: Branch,
    optimizer: torch.optim.Optimizer,
    frozen: str,
    env: Environment,
    frames: Frames | None = None,
) -> tuple[int, float]:
    """Load the newest whole checkpoint of this stage, if any; the step to go on with, and its seconds.

    Raises UserError where it was made with other settings or beside other weights.
    """
    folder = Path(settings.run.out) / FOLDER
    found = checkpoint.load_latest(folder)
    if found is None:
        return 0, 0.0
    check_same_stage(settings, found.values["settings"], folder)
    if found.values["frozen"] != frozen:
        raise UserError(
            f"{folder}: belongs to a model with other weights: delete it to train its variances anew"
        )
    state = {k.removeprefix("head/"): v for k, v in found.shared.items() if k.startswith("head/")}
    head.load_state_dict(state)
    checkpoint.restore_optimizer(optimizer, head_names(head), found.shared)
    checkpoint.restore_random_states(found.shared, env.device)
    if frames is not None:
        frames.restore_corrupt(found.values.get("corrupt", {}))
    return found.step, float(found.values["seconds"])


def head_names(head: Branch) -> dict[int, str]:
    """Names by id, as training/checkpoint.py wants them."""
    return {id(parameter): name for name, parameter in head.named_parameters()}


def check_same_stage(settings: TrainSettings, saved: dict[str, Any], folder: Path) -> None:
    """Raise UserError that names the first setting of this stage in which the checkpoint is another."""
    now = json.loads(json.dumps(as_dict(settings)))
    # A run from before a setting existed was trained as its default does.
    defaults = json.loads(json.dumps(as_dict(TrainSettings())))
    groups = [(group, name) for group in ("uncertainty", "variations") for name in now[group]]
    for group, name in [*groups, ("run", "seed"), ("data", "train"), ("model", "input_size")]:
        old, new = saved[group].get(name, defaults[group][name]), now[group][name]
        if old != new:
            raise UserError(
                f"{folder}: a run with {group}.{name} {old}, not {new}: delete it to train this stage "
                "anew, or go on with the same setting"
            )
