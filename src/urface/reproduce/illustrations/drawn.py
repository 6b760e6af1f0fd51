"""What a figure is when it is done, and how it says that something lacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from matplotlib.figure import Figure

from urface.types import UserError


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure, what a reader is told of it, and the numbers in it as JSON values."""

    figure: Figure
    title: str
    caption: str
    numbers: dict[str, Any] = field(default_factory=dict)


NO_MODEL = "no confidence-aware model: give --model"
NO_BASELINE = "no CosFace model with variation augmentation: train that row, or give --baseline"
NO_TRAIN = "no training faces: give --train"
NO_TEST = "no test faces: give --faces"

Part = TypeVar("Part")


def needed(part: Part | None, message: str) -> Part:
    """``part``, or UserError with ``message`` where it lacks."""
    if part is None:
        raise UserError(message)
    return part


def need(there: bool, message: str) -> None:
    """Raise UserError with ``message`` unless it is ``there``."""
    if not there:
        raise UserError(message)


def drawn_places(total: int, count: int) -> list[int]:
    """``count`` places of ``total`` (all where there are fewer), drawn by a fixed seed."""
    places: list[int] = np.random.default_rng(0).permutation(total)[:count].tolist()
    return places
