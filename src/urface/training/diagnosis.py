"""Stopping with a diagnosis when a loss or a gradient is not finite (reliability goal G8)."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from urface import distributed
from urface.atomic import write_atomic
from urface.types import FaceBatch, UserError


class TrainingStopped(UserError):
    """Training ended before its time; the message says at which step, why, and where to read more."""


def stop_not_finite(
    out: Path,
    stage: str,
    step: int,
    rate: float,
    terms: dict[str, Tensor],
    norm: Tensor,
    confidence_BK: Tensor,
    batch: FaceBatch,
    keys: list[str],
) -> None:
    """Write diagnosis_rank*.json and raise TrainingStopped; nothing of this step has been applied."""
    confidence = confidence_BK.detach().float()
    bad_rows = (~torch.isfinite(confidence)).any(1).nonzero().flatten().tolist()
    values = {name: float(value.detach()) for name, value in terms.items()}
    culprits = [keys[int(batch.index[row])] for row in bad_rows]
    report = {
        "stage": stage,
        "step": step,
        "rank": distributed.rank(),
        "learning_rate": rate,
        "terms": {name: repr(value) for name, value in values.items()},
        "gradient_norm": repr(float(norm)),
        "confidence": {
            "smallest": repr(float(confidence.min())),
            "mean": repr(float(confidence.mean())),
            "largest": repr(float(confidence.max())),
        },
        "images_with_non_finite_output": culprits,
        "batch": [keys[int(index)] for index in batch.index],
    }
    path = out / f"diagnosis_rank{distributed.rank()}.json"
    write_atomic(path, json.dumps(report, indent=1))
    broken = [name for name, value in values.items() if not abs(value) < float("inf")]
    what = f"{' and '.join(broken)} not finite" if broken else "the gradient is not finite"
    whose = f", first at {culprits[0]}" if culprits else ""
    raise TrainingStopped(
        f"step {step} of {stage}, rank {distributed.rank()}: {what}{whose}; the step was not applied. "
        f"See {path}; a lower optim.learning_rate or optim.confidence_factor usually helps"
    )
