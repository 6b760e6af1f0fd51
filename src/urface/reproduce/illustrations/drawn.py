"""What a figure is when it is done, and how it says that something lacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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


def need(there: bool, message: str) -> None:
    """Raise UserError with ``message`` unless a figure has what it needs."""
    if not there:
        raise UserError(message)


def drawn_places(total: int, count: int) -> list[int]:
    """``count`` places of ``total`` (all where there are fewer), drawn by a fixed seed."""
    places: list[int] = np.random.default_rng(0).permutation(total)[:count].tolist()
    return places
