"""What the variances are worth: do they grow with every degradation, and do they rank the errors?

Errors are those of one row's pairs; what ranks them is its own variance, the length of the baseline's
embedding, or what the picture looks like. A pair is as unsure as its less sure face.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from urface.evaluation.quality import SIGNS
from urface.metrics.paired import SubjectDraws, difference, discard_area
from urface.metrics.rejection import SHARES
from urface.reproduce.measured import Measured

VARIANCE, NORM = "variance", "norm of the baseline"
BASELINE = "cosface"
MOST_RESAMPLES = 500  # each sorts all pairs anew; p reaches down to 0.004
POOLED = "all conditions together"


def growth(measured: Measured, row: str) -> list[dict[str, Any]]:
    """The mean log variance of each condition, and its difference from that of the same clean faces.

    Averaged over seeds; intervals and p by resampling people.
    """
    people = measured.protocol.labels

    def of(condition: str) -> np.ndarray:
        seeds = range(measured.seeds)
        return np.mean([measured.outcomes[row, s, condition].uncertainty for s in seeds], axis=0)

    clean = of("clean")
    found = []
    for condition in measured.conditions:
        here = of(condition)
        both = ~np.isnan(here) & ~np.isnan(clean)
        more = here[both] - clean[both]
        entry: dict[str, Any] = {
            "condition": condition,
            "mean": float(here[both].mean()),
            "quantiles": np.quantile(here[both], [0.05, 0.25, 0.5, 0.75, 0.95]).tolist(),
        }
        if condition != "clean":
            draws = measured.draws.means(more, people[both])
            entry["above_clean"] = difference(float(more.mean()), draws).to_dict()
        found.append(entry)
    return found


def rankings(measured: Measured, row: str, signs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """How well each sign of quality ranks the errors of ``row``'s pairs, in each condition and in all.

    ``signs``  condition -> [N, 3] of SIGNS. Each entry: the mean error along the curve (``area``) for
    every measure, and the paired difference of each other measure's area less the variance's: above 0
    says that the variance ranks better. Areas of seeds are averaged.
    """
    found = []
    several = [[c] for c in measured.conditions] + [measured.conditions]
    for conditions in several if len(measured.conditions) > 1 else several[:1]:
        areas, draws, blind = _areas(measured, row, conditions, signs)
        entry: dict[str, Any] = {
            "condition": conditions[0] if len(conditions) == 1 else POOLED,
            "error": blind,
            "areas": areas,
            "variance_better_by": {
                name: difference(area - areas[VARIANCE], draws[name], draws[VARIANCE]).to_dict()
                for name, area in areas.items()
                if name != VARIANCE
            },
        }
        found.append(entry)
    return found


def _areas(
    measured: Measured, row: str, conditions: list[str], signs: dict[str, np.ndarray]
) -> tuple[dict[str, float], dict[str, np.ndarray], float]:
    """Observed areas by measure, the same under each resample, and the error of all pairs."""
    pairs = measured.protocol.pairs
    subjects = np.tile(measured.protocol.pair_people, (len(conditions), 1))
    observed: dict[str, list[float]] = {}
    resampled: dict[str, list[np.ndarray]] = {}
    draws = SubjectDraws(measured.draws.subjects, min(measured.draws.resamples, MOST_RESAMPLES))
    rates = []
    for seed in range(measured.seeds):
        cells = [(row, seed, condition) for condition in conditions]
        right = [measured.verification(cell).accuracy.correct for cell in cells]
        errors = ~np.concatenate(right)
        rates.append(float(errors.mean()))
        for name in (VARIANCE, NORM, *SIGNS):
            unsure = [_unsure(measured, name, cell, signs) for cell in cells]
            if any(values is None for values in unsure):
                continue
            ranked = np.concatenate(
                [of_pairs(v, pairs.left, pairs.right) for v in unsure if v is not None]
            )
            observed.setdefault(name, []).append(discard_area(errors, ranked, SHARES))
            resampled.setdefault(name, []).append(
                draws.discard_areas(errors, ranked, subjects, SHARES)
            )
    return (
        {name: float(np.mean(values)) for name, values in observed.items()},
        {name: np.mean(values, axis=0) for name, values in resampled.items()},
        float(np.mean(rates)),
    )


def _unsure(
    measured: Measured, name: str, cell: tuple[str, int, str], signs: dict[str, np.ndarray]
) -> np.ndarray | None:
    """[N] larger is less sure, by the measure ``name``; None where it was not taken."""
    _, seed, condition = cell
    if name == VARIANCE:
        return measured.outcomes[cell].uncertainty
    if name == NORM:
        baseline = measured.outcomes.get((BASELINE, seed, condition))
        return None if baseline is None else -baseline.norm
    values = signs.get(condition)
    return None if values is None else -values[:, SIGNS.index(name)]


def of_pairs(unsure: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[P] of each pair; NaN where an image is missing or has none."""
    a, b = (np.where(side >= 0, unsure[side], np.nan) for side in (left, right))
    return np.maximum(a, b)
