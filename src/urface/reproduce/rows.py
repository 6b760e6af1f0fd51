"""The rows of the table: how each is trained, and how its faces are scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from urface.config import ObjectiveSettings, OptimSettings, TrainSettings
from urface.scoring.score import Method
from urface.types import UserError

# CosFace's margin as a share of its scale; the confidence-aware rows take theirs from the recipe.
COSFACE_MARGIN = 0.3


@dataclass(frozen=True)
class Row:
    """One line of the table; rows with the same ``model`` share its training."""

    name: str
    model: str
    method: Method
    settings: Callable[[TrainSettings], TrainSettings]


def _cosface(base: TrainSettings) -> TrainSettings:
    """One embedding at a constant scale, the recipe's initial confidence.

    What only the confidence branch reads is set to its default, so that another choice for that branch
    leaves a trained baseline as it is.
    """
    plain = OptimSettings()
    return replace(
        base,
        optim=replace(
            base.optim,
            confidence_factor=plain.confidence_factor,
            confidence_start=plain.confidence_start,
        ),
        model=replace(base.model, sub_embeddings=1),
        objective=ObjectiveSettings("cosface", COSFACE_MARGIN, 0.0),
        uncertainty=replace(base.uncertainty, steps=0),
    )


def _without_augmentation(base: TrainSettings) -> TrainSettings:
    return replace(base, variations=replace(base.variations, low_resolution=0.0, occlusion=0.0))


def _same(base: TrainSettings) -> TrainSettings:
    return base


ROWS: dict[str, Row] = {
    "cosface": Row(
        "CosFace baseline", "cosface", "cosine", lambda base: _without_augmentation(_cosface(base))
    ),
    "cosface_va": Row("+ variation augmentation", "cosface_va", "cosine", _cosface),
    "confidence": Row("+ confidence-aware, K = {K}", "confidence", "cosine", _same),
    "confidence_pa": Row("+ probabilistic aggregation", "confidence", "likelihood", _same),
}


def chosen(names: tuple[str, ...]) -> list[tuple[str, Row]]:
    """The rows called ``names``. Raises UserError for one that is not known."""
    for name in names:
        if name not in ROWS:
            raise UserError(f"rows: no row is called {name!r}; known are {', '.join(ROWS)}")
    return [(name, ROWS[name]) for name in names]
