"""The rows of the tables: how each is trained, and how its faces are scored.

A row's name in full; which modules of the paper it has is said beside it in the ablation: VA variation
augmentation, CI confidence-aware identification loss, ME multiple sub-embeddings, DE decorrelation,
PA probabilistic aggregation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from urface.config import ObjectiveSettings, OptimSettings, TrainSettings
from urface.config_reproduce import ReproduceSettings
from urface.data.source import FaceSource
from urface.scoring.score import Method
from urface.types import UserError

AUGMENTED = ("low_resolution", "occlusion", "pose")
MINED = ("male", "young", "smiling")  # in the order in which the supplementary names them
MODULES = ("VA", "CI", "ME", "DE", "PA")


@dataclass(frozen=True)
class Row:
    """One line of a table; rows with the same ``model`` share its training.

    settings   what it is trained with, out of the recipe
    modules    those of MODULES that it has
    embedding  another model whose finished embedding it takes, to train stage two alone
    """

    name: str
    model: str
    method: Method
    settings: Callable[[ReproduceSettings], TrainSettings]
    modules: tuple[str, ...] = ()
    embedding: str = ""


def _one_embedding(plan: ReproduceSettings, kind: str = "cosface") -> TrainSettings:
    """One embedding at a constant scale, the recipe's initial confidence.

    What only the confidence branch and the decorrelation read is set to its default, so that another
    choice for those leaves a trained baseline as it is.
    """
    base = plan.settings
    margin = plan.arcface_margin if kind == "arcface" else plan.cosface_margin
    return replace(
        base,
        optim=replace(
            _without_classifier(base.optim),
            confidence_factor=OptimSettings.confidence_factor,
            confidence_start=OptimSettings.confidence_start,
        ),
        model=replace(base.model, sub_embeddings=1),
        objective=replace(
            base.objective,
            identification=kind,  # type: ignore[arg-type]
            margin=margin,
            regularizer=0.0,
            decorrelate=(),
            classification=ObjectiveSettings.classification,
            adversarial=ObjectiveSettings.adversarial,
        ),
        uncertainty=replace(base.uncertainty, steps=0),
    )


def _without_classifier(optim: OptimSettings) -> OptimSettings:
    return replace(
        optim,
        classifier_rate=OptimSettings.classifier_rate,
        classifier_decay=OptimSettings.classifier_decay,
    )


def _plain(settings: TrainSettings) -> TrainSettings:
    """Without variation augmentation."""
    return replace(
        settings,
        variations=replace(settings.variations, low_resolution=0.0, occlusion=0.0, pose=0.0),
    )


def _pfe(plan: ReproduceSettings) -> TrainSettings:
    """The baseline, frozen, and a variance for each of its dimensions."""
    stage = replace(plan.settings.uncertainty, per_dimension=True)
    return replace(_plain(_one_embedding(plan)), uncertainty=stage)


def _confidence(plan: ReproduceSettings) -> TrainSettings:
    """The confidence-aware loss over the recipe's sub-embeddings, without decorrelation."""
    base, plain = plan.settings, ObjectiveSettings()
    return replace(
        base,
        optim=_without_classifier(base.optim),
        objective=replace(
            base.objective,
            decorrelate=(),
            classification=plain.classification,
            adversarial=plain.adversarial,
        ),
    )


def _confidence_of_one(plan: ReproduceSettings) -> TrainSettings:
    settings = _confidence(plan)
    return replace(
        settings,
        model=replace(settings.model, sub_embeddings=1),
        uncertainty=replace(settings.uncertainty, steps=0),
    )


def _decorrelated(*names: str) -> Callable[[ReproduceSettings], TrainSettings]:
    def settings(plan: ReproduceSettings) -> TrainSettings:
        base = plan.settings
        return replace(base, objective=replace(base.objective, decorrelate=names))

    return settings


_MODELS: dict[str, Callable[[ReproduceSettings], TrainSettings]] = {
    "cosface": lambda plan: _plain(_one_embedding(plan)),
    "arcface": lambda plan: _plain(_one_embedding(plan, "arcface")),
    "pfe": _pfe,
    "cosface_va": _one_embedding,
    "confidence_one": _confidence_of_one,
    "confidence": _confidence,
    "decorrelated_3": _decorrelated(*AUGMENTED),
    "decorrelated_4": _decorrelated(*AUGMENTED, *MINED[:1]),
    "all": _decorrelated(*AUGMENTED, *MINED),
}


def _row(name: str, model: str, modules: str = "", embedding: str = "") -> Row:
    has = tuple(modules.split())
    method: Method = "likelihood" if "PA" in has or model == "pfe" else "cosine"
    return Row(name, model, method, _MODELS[model], has, embedding)


ROWS: dict[str, Row] = {
    "cosface": _row("CosFace baseline", "cosface"),
    "arcface": _row("ArcFace", "arcface"),
    "pfe": _row("PFE on the baseline", "pfe", embedding="cosface"),
    "cosface_va": _row("+ variation augmentation", "cosface_va", "VA"),
    "confidence_one": _row("+ confidence-aware, K = 1", "confidence_one", "VA CI"),
    "confidence": _row("+ confidence-aware, K = {K}", "confidence", "VA CI ME"),
    "confidence_pa": _row("+ probabilistic aggregation", "confidence", "VA CI ME PA"),
    "decorrelated_3": _row("+ decorrelation, 3 / 0", "decorrelated_3", "VA CI ME DE"),
    "decorrelated_3_pa": _row("+ decorrelation, 3 / 0, + PA", "decorrelated_3", "VA CI ME DE PA"),
    "decorrelated_4_pa": _row("+ decorrelation, 3 / 1, + PA", "decorrelated_4", "VA CI ME DE PA"),
    "all": _row("all", "all", "VA CI ME DE"),
    "all_pa": _row("all + PA", "all", "VA CI ME DE PA"),
}

# Table 1: all modules but the decorrelation, then that with 3 / 0, 3 / 1 and 3 / 3 variations.
TABLE1 = ("confidence_pa", "decorrelated_3_pa", "decorrelated_4_pa", "all_pa")
TABLE2 = ("pfe", "arcface", "cosface", "cosface_va", "all", "all_pa")
ABLATION = ("cosface", "cosface_va", "confidence_one", "confidence", "all", "all_pa")
SETS = {"table1": TABLE1, "table2": TABLE2, "ablation": ABLATION}


def chosen(names: tuple[str, ...]) -> list[tuple[str, Row]]:
    """The rows called ``names``, sets among them spelled out, each once. Raises UserError for others."""
    keys: list[str] = []
    for name in names:
        if name not in ROWS and name not in SETS:
            known = ", ".join([*SETS, *ROWS])
            raise UserError(f"rows: no row or set is called {name!r}; known are {known}")
        keys += SETS.get(name, (name,))
    return [(key, ROWS[key]) for key in dict.fromkeys(keys)]


def check_variations(
    rows: list[tuple[str, Row]], plan: ReproduceSettings, train: FaceSource
) -> None:
    """Raise UserError where a row decorrelates what is neither applied nor labelled: it says what is missing.

    A row with fewer variations than its name says would be another row.
    """
    for key, row in rows:
        settings = row.settings(plan)
        for name in settings.objective.decorrelate:
            if name in AUGMENTED:
                if getattr(settings.variations, name) == 0:
                    raise UserError(
                        f"row {key} decorrelates {name}, which settings.variations.{name} 0 never "
                        "applies: set it above 0, or leave the row out"
                    )
            elif name not in train.variation_names:
                raise UserError(
                    f"row {key} decorrelates {name}, and {train.name} has no such label: give "
                    "settings.data.labels (`urface mine label` writes them), or leave the row out"
                )
        if settings.variations.pose and not settings.data.meshes:
            raise UserError(
                f"row {key} turns heads (settings.variations.pose), which needs settings.data.meshes "
                "(`urface data landmarks` finds them)"
            )
