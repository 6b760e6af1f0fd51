"""Stopping with a diagnosis when a loss or a gradient is not finite (reliability goal G8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from urface import distributed
from urface.atomic import write_atomic
from urface.config import RunSettings
from urface.training.rollback import MOST, leave_out
from urface.types import FaceBatch, UserError


class TrainingStopped(UserError):
    """Training ended before its time; the message says at which step, why, and where to read more."""


class RolledBack(TrainingStopped):
    """The same, but the run may begin again from its last checkpoint: it will leave that step out."""


@dataclass(frozen=True)
class BrokenStep:
    """A step of this rank after its backward pass, before its update.

    terms    the losses by name
    norm     that of the gradient
    outputs  what the network said of this rank's images, each [B, ...]
    gradients  of the loss by some of them, each [B, ...]: they tell whose loss was not finite
    forward  images -> outputs once more
    """

    stage: str
    step: int
    rate: float
    terms: dict[str, Tensor]
    norm: Tensor
    images: Tensor
    outputs: dict[str, Tensor]
    gradients: list[Tensor]
    forward: Callable[[Tensor], Iterable[Tensor]]
    batch: FaceBatch
    keys: list[str]


def stop_not_finite(run: RunSettings, broken: BrokenStep) -> None:
    """Write diagnosis_rank*.json and raise TrainingStopped (RolledBack by run.on_non_finite).

    Every rank calls this together, and nothing of the step has been applied on any.
    """
    out, rank = Path(run.out), distributed.rank()
    batch, keys = broken.batch, broken.keys

    def named(rows: list[int]) -> list[str]:
        return [keys[int(batch.index[row])] for row in rows]

    values = {name: float(value.detach()) for name, value in broken.terms.items()}
    at_fault = {
        "images_with_non_finite_pixels": named(_not_finite_rows([broken.images])),
        "images_with_non_finite_output": named(output_culprits(broken)),
        "images_with_non_finite_gradient": named(_not_finite_rows(broken.gradients)),
    }
    report = {
        "stage": broken.stage,
        "step": broken.step,
        "rank": rank,
        "learning_rate": broken.rate,
        "terms": {name: repr(value) for name, value in values.items()},
        "gradient_norm": repr(float(broken.norm)),
        "outputs": {name: _range(value) for name, value in broken.outputs.items()},
        **at_fault,
        "batch": named(list(range(len(batch.index)))),
    }
    path = out / f"diagnosis_rank{rank}.json"
    distributed.together(lambda: write_atomic(path, json.dumps(report, indent=1)))
    names = [name for name, value in values.items() if not abs(value) < float("inf")]
    # A gradient that is not finite reaches every image of the batch where the loss itself is.
    culprits = next((some for some in at_fault.values() if 0 < len(some) < len(batch.index)), [])
    found = distributed.gather_objects((rank, names, culprits, str(path)))
    # The rank whose image it is; all see the loss that came of it.
    rank, names, culprits, where = max(found, key=lambda one: (bool(one[2]), bool(one[1])))
    what = f"{' and '.join(names)} not finite" if names else "the gradient is not finite"
    whose = f", first at {culprits[0]}" if culprits else ""
    said = f"step {broken.step} of {broken.stage}, rank {rank}: {what}{whose}; the step was not applied"
    advice = "a lower optim.learning_rate or optim.confidence_factor usually helps"
    if run.on_non_finite == "rollback":
        if leave_out(out, broken.stage, broken.step):
            raise RolledBack(f"{said}. See {where}; run again to go on without that step")
        advice = f"it would be the {MOST + 1}th rollback, so the batch is not to blame; {advice}"
    raise TrainingStopped(f"{said}. See {where}; {advice}")


def _not_finite_rows(tensors: Iterable[Tensor]) -> list[int]:
    bad: set[int] = set()
    for tensor in tensors:
        rows = tensor.detach().flatten(1)
        bad |= set((~torch.isfinite(rows)).any(1).nonzero().flatten().tolist())
    return sorted(bad)


def _range(values: Tensor) -> dict[str, str]:
    plain = values.detach().float()
    return {
        "smallest": repr(float(plain.min())),
        "mean": repr(float(plain.mean())),
        "largest": repr(float(plain.max())),
    }


def output_culprits(broken: BrokenStep) -> list[int]:
    """The rows of this rank's batch whose outputs are not finite, none where no image is to blame.

    BatchNorm spreads one bad image over the whole batch. The halves that it is not in are finite, so it is
    looked for by halves.
    """
    bad = _not_finite_rows(broken.outputs.values())
    if len(bad) < len(broken.images) or not bad:
        return bad

    def breaks(rows: list[int]) -> bool:
        # One image beside itself: BatchNorm over a single vector is an error.
        chosen = broken.images[rows if len(rows) > 1 else rows * 2]
        with torch.no_grad():
            return any(not bool(torch.isfinite(some).all()) for some in broken.forward(chosen))

    found: list[int] = []
    waiting = [bad]
    while waiting:
        rows = waiting.pop()
        if not breaks(rows):
            continue
        if len(rows) == 1:
            found += rows
        else:
            waiting += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
        if len(found) > len(bad) // 2:  # the weights, or the batch as a whole
            return []
    return sorted(found)
