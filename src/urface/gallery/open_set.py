"""From which score on is a match believed? The threshold at a false-positive identification rate.

FPIR is the share of searches for people who are not enrolled that name somebody all the same (ISO/IEC
19795-1). Two ways lead to a threshold:

- measured: strangers searched in this gallery (``Gallery.calibrate``); the threshold is an order statistic of
  their best scores. For a gallery that has grown from M to N people since, their rate is scaled as below.
- modelled: the model's false-match rate between pairs. Were the N comparisons of one search independent,
  FPIR = 1 - (1 - FMR)^N. They are not quite (some people resemble many others), so it is a model: above the
  truth where false matches come in clusters, and wrong wherever the gallery's people are not like those that
  the rate was measured on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from urface.decision import Decision
from urface.metrics.intervals import Rate, rate
from urface.metrics.thresholds import allowed_errors, threshold_at_most, why_unsupported
from urface.types import UserError


@dataclass(frozen=True)
class Threshold:
    """value  the score from which a match counts; basis  where it comes from, in words."""

    value: float
    basis: str


@dataclass(frozen=True)
class Strangers:
    """The best scores of people who were not enrolled, when ``people`` were.

    scores  [S] rising; method  which score they are
    """

    people: int
    method: str
    scores: np.ndarray

    def to_bytes(self) -> bytes:
        told = {"people": self.people, "method": self.method, "scores": self.scores.tolist()}
        return json.dumps(told).encode()

    @staticmethod
    def from_bytes(data: bytes) -> Strangers:
        told = json.loads(data)
        scores = np.array(told["scores"], np.float64)
        return Strangers(told["people"], told["method"], scores)


@dataclass(frozen=True)
class MeasuredRate:
    """fpir asked for, the threshold and the rate measured at it; threshold None where the strangers are too
    few (``measured.reason``)."""

    fpir: float
    threshold: float | None
    measured: Rate


def checked_fpir(fpir: float) -> float:
    if not isinstance(fpir, (int, float)) or not 0.0 < fpir < 1.0:
        raise UserError(f"fpir must lie between 0 and 1, such as 0.01, got {fpir!r}")
    return float(fpir)


def pair_rate(fpir: float, people: int) -> float:
    """The false-match rate of a pair at which a search among ``people`` has ``fpir``, by the model above."""
    return -math.expm1(math.log1p(-fpir) / max(people, 1))


def scaled(fpir: float, measured: int, people: int) -> float:
    """The rate to aim at among ``measured`` people so that ``people`` have ``fpir``; never above ``fpir``."""
    return -math.expm1(math.log1p(-fpir) * min(1.0, measured / max(people, 1)))


def threshold_of(
    fpir: float, people: int, decision: Decision | None, strangers: Strangers | None
) -> Threshold:
    """Measured where strangers were searched, else modelled. Raises UserError where neither supports it."""
    if strangers is not None:
        aim = scaled(fpir, strangers.people, people)
        reason = why_unsupported(aim, len(strangers.scores), "strangers")
        if not reason:
            grown = f", scaled to {people:,}" if people > strangers.people else ""
            basis = (
                f"FPIR {100 * fpir:g} %, measured on {len(strangers.scores):,} strangers among "
                f"{strangers.people:,} people{grown}"
            )
            return Threshold(_order_statistic(strangers.scores, aim), basis)
        if decision is None:
            raise UserError(f"an FPIR of {fpir:g} in a gallery of {people:,} is {reason}")
    if decision is None:
        raise UserError(
            "no threshold: the model has no decision rule, and no strangers were searched in this gallery; "
            "`urface gallery calibrate` measures one"
        )
    needed = pair_rate(fpir, people)
    # Of the rates that the model's data support the largest that is small enough.
    points = [point for point in decision.thresholds if point.fmr <= needed * (1 + 1e-9)]
    if not points:
        known = min((point.fmr for point in decision.thresholds), default=1.0)
        raise UserError(
            f"an FPIR of {fpir:g} among {people:,} people needs a false-match rate of {needed:.2g}, and the "
            f"model's data ({decision.data}) support {known:g} at best: ask for a larger FPIR, or measure "
            "strangers in this gallery with `urface gallery calibrate`"
        )
    point = max(points, key=lambda point: point.fmr)
    basis = (
        f"FPIR at most {100 * fpir:g} % were the {people:,} comparisons independent: on {decision.data} "
        f"{point}"
    )
    return Threshold(point.threshold, basis)


def measured_rates(strangers: Strangers, wanted: Sequence[float]) -> list[MeasuredRate]:
    """Thresholds and rates, each with its interval, at every FPIR of ``wanted``."""
    count = len(strangers.scores)
    found = []
    for fpir in wanted:
        if reason := why_unsupported(fpir, count, "strangers"):
            found.append(MeasuredRate(fpir, None, Rate(None, None, None, 0, count, reason)))
            continue
        threshold = _order_statistic(strangers.scores, fpir)
        events = int((strangers.scores >= threshold).sum())
        found.append(MeasuredRate(fpir, threshold, rate(events, count)))
    return found


def _order_statistic(scores: np.ndarray, fpir: float) -> float:
    allowed = allowed_errors(fpir, len(scores))
    found = threshold_at_most(scores, np.empty(0), allowed)
    # All of them one value: the next number above it accepts none.
    return found if math.isfinite(found) else float(np.nextafter(scores.max(), math.inf))
