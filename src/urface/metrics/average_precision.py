"""Mean average precision of a search with several mates a probe, as TinyFace's own evaluation has it.

TinyFace (Cheng, Zhu and Gong 2018) averages the precision along the recall by trapezoids: each mate found
adds the mean of the precision up to it and up to the entry before it, the latter 1 before the first entry.
Libraries of information retrieval (scikit-learn too) take the precision at the mate alone. Both are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from urface.metrics.bootstrap import RESAMPLES, bootstrap_interval_by_subject
from urface.metrics.identification import Scores, codes_of, parts_of
from urface.metrics.intervals import clopper_pearson
from urface.types import UserError

Rule = Literal["trapezoid", "step"]
FEW = 12  # mates of a probe up to which a pass for each is faster than one search for all


@dataclass(frozen=True)
class MeanAveragePrecision:
    """The mean over ``probes`` of their average precision, 0..1, and its 95% interval by subject.

    low, high  None where all probes are of one person: people cannot be drawn then
    probes     the denominator, failures included
    failures   probes that have a score to no mate; each counts 0
    """

    value: float
    low: float | None
    high: float | None
    probes: int
    failures: int
    rule: Rule = "trapezoid"

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def mean_average_precision(
    scores: Scores,
    probe_ids: Sequence[Any] | np.ndarray,
    gallery_ids: Sequence[Any] | np.ndarray,
    *,
    rule: Rule = "trapezoid",
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MeanAveragePrecision:
    """mAP of scores [N, M], or of an iterable of their row blocks [n, M] in order, never held at once.

    probe_ids [N], gallery_ids [M]; distractors are gallery entries of an identity that no probe has. The
    interval draws the probes' people, not the probes. Where every probe has the same average precision of
    0 or 1 it is Clopper-Pearson's for as many trials as there are people. Raises UserError as
    ``average_precisions``.
    """
    values, failed = average_precisions(scores, probe_ids, gallery_ids, rule=rule)
    people = codes_of(probe_ids, gallery_ids)[0]
    low, high = _interval(values, people, level, resamples, seed)
    return MeanAveragePrecision(
        float(values.mean()), low, high, len(values), int(failed.sum()), rule
    )


def average_precisions(
    scores: Scores,
    probe_ids: Sequence[Any] | np.ndarray,
    gallery_ids: Sequence[Any] | np.ndarray,
    *,
    rule: Rule = "trapezoid",
) -> tuple[np.ndarray, np.ndarray]:
    """[N] average precision of each probe over all its mates, and [N] bool: it has a score to none.

    A mate at place r of the list, the h-th mate there, adds h / r (``step``) or the mean of h / r and
    (h - 1) / (r - 1) (``trapezoid``, 1 in place of the latter where r is 1), each divided by the number of
    mates. Of equal scores the others' entries stand before the mates', so ties count against us; an entry
    without a score (NaN) is never found. Raises UserError as ``search_outcomes``, and where a probe has no
    mate in the gallery, for which the measure has no value.
    """
    if rule not in ("trapezoid", "step"):
        raise UserError(f"the rule of an average precision is trapezoid or step, got {rule!r}")
    probes, gallery = codes_of(probe_ids, gallery_ids)
    strangers = int(np.count_nonzero(~np.isin(probes, gallery)))
    if strangers:
        raise UserError(
            f"{strangers} probes are of nobody in the gallery: mAP needs a mate of each"
        )
    order = np.argsort(gallery, kind="stable")
    starts, ends = (np.searchsorted(gallery[order], probes, side) for side in ("left", "right"))
    values = np.zeros(len(probes))
    failed = np.zeros(len(probes), bool)
    row = 0
    for part in parts_of(scores, len(gallery)):
        if row + len(part) > len(probes):
            raise UserError(f"there are more rows of scores than the {len(probes)} probes")
        for line in part:
            mates = order[starts[row] : ends[row]]
            values[row], failed[row] = _of_probe(line, mates, rule)
            row += 1
    if row != len(probes):
        raise UserError(f"there are {row} rows of scores for {len(probes)} probes")
    return values, failed


def _of_probe(scores: np.ndarray, mates: np.ndarray, rule: Rule) -> tuple[float, bool]:
    """Average precision of one row [M] and whether it found nothing; no sort of the M others."""
    found = scores[mates]
    found = np.sort(found[~np.isnan(found)])[::-1]
    if not len(found):
        return 0.0, True
    hits = np.arange(1, len(found) + 1)
    # NaN compares False, so an entry without a score stands before nothing.
    before = _at_least(scores, found) - _at_least(scores[mates], found)
    places = hits + before
    precision = hits / places
    if rule == "trapezoid":
        earlier = np.where(places > 1, (hits - 1) / np.maximum(places - 1, 1), 1.0)
        precision = (precision + earlier) / 2
    return float(precision.sum() / len(mates)), False


def _at_least(scores: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """[L] how many of ``scores`` reach each of the falling ``levels`` [L]; NaN reaches none."""
    if len(levels) <= FEW:
        return np.array([np.count_nonzero(scores >= level) for level in levels])
    # How many levels each score reaches, then how many scores reach at least so many.
    reached = np.searchsorted(levels[::-1], scores[~np.isnan(scores)], side="right")
    counts = np.bincount(reached, minlength=len(levels) + 1)[1:]
    return np.cumsum(counts[::-1])


def _interval(
    values: np.ndarray, people: np.ndarray, level: float, resamples: int, seed: int
) -> tuple[float | None, float | None]:
    count = len(np.unique(people))
    if count < 2:
        return None, None
    if values[0] in (0.0, 1.0) and (values == values[0]).all():
        return clopper_pearson(count * int(values[0]), count, level)
    return bootstrap_interval_by_subject(
        values, people, level=level, resamples=resamples, seed=seed
    )
