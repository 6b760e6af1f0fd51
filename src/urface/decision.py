"""From a score to an answer: how likely one person is, at which false-match rate, when no answer is given.

A decision is fitted on comparisons of people whom the model was not trained on and is kept as plain JSON in
the model file (facts["decision"]). What it says holds for faces like those: the words ``data`` name them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.metrics.calibration import ScoreCalibration, fit_calibration
from urface.metrics.comparisons import checked_scores
from urface.metrics.intervals import rate
from urface.metrics.thresholds import MIN_ERRORS
from urface.metrics.verification import tar_at_far
from urface.types import UserError

FACT = "decision"
FORMAT = 1
RATES = (1e-1, 1e-2, 1e-3, 1e-4)
USUAL_RATE = 1e-3
PRIOR = 0.5
UNSURE_AT = 0.01  # the false-match rate at which genuine pairs are judged for ``unsure_above``
UNSURE_MISSED = 0.5  # a face above which more of them are missed than found answers nothing
UNSURE_QUANTILE = 0.99
AGAIN = "run `urface evaluate MODEL --people FACES --calibrate`"


@dataclass(frozen=True)
class Point:
    """A threshold and what it was measured by: of ``impostor_pairs``, ``false_matches`` score at least
    ``threshold``, which is at most the share ``fmr``; of ``genuine_pairs``, ``true_matches`` do."""

    fmr: float
    threshold: float
    false_matches: int
    impostor_pairs: int
    true_matches: int = 0
    genuine_pairs: int = 0

    def __str__(self) -> str:
        seen = rate(self.false_matches, self.impostor_pairs)
        return f"a false-match rate of at most {100 * self.fmr:g} %: {seen.format(2)} % matched"


@dataclass(frozen=True)
class Decision:
    """How the scores of one model are answered.

    method        the score that all of it is on: "likelihood" or "cosine"
    thresholds    rising false-match rates fall along it: only those that the data support (the rule of 30)
    unsure_above  FaceEmbedding.uncertainty above which a face is too unsure for an answer; inf where the
                  model file does not say
    unsure_rule   where that number comes from, in words
    data          what all was fitted on, in words
    demonstration whether the model is the one in the box: every answer must say so
    calibration   the logistic fit, or None in files of before, which hold one threshold alone
    """

    method: str
    thresholds: tuple[Point, ...]
    data: str
    unsure_above: float = math.inf
    unsure_rule: str = "not measured"
    demonstration: bool = False
    calibration: ScoreCalibration | None = None

    @property
    def has_probability(self) -> bool:
        """False for a model file of before, which holds a threshold alone."""
        return self.calibration is not None

    @property
    def prior(self) -> float:
        """The share of comparisons of one person that ``probability`` stands for, unless another is given."""
        return self.calibration.prior if self.calibration else PRIOR

    def probability(self, scores: Any, prior: float | None = None) -> np.ndarray:
        """The probability of one person, in 0..1, for scores of any shape; NaN where the score is NaN.

        prior  the share of comparisons that show one person, before looking; None: ``self.prior``

        Raises UserError where the file holds no calibration, or prior lies outside (0, 1).
        """
        if self.calibration is None:
            raise UserError(
                f"this model holds a threshold and no probabilities: {AGAIN} to have them"
            )
        calibration = self.calibration if prior is None else self.calibration.at_prior(prior)
        return calibration.probability(np.asarray(scores))

    def meaning(self, prior: float | None = None) -> str:
        """One sentence on what ``probability`` means."""
        share = self.prior if prior is None else prior
        return (
            f"among comparisons of which {100 * share:g} % show one person; fitted on {self.data}"
        )

    def threshold_at(self, fmr: float) -> float:
        """The threshold at a false-match rate of at most ``fmr``. Raises UserError where there is none."""
        return self.point_at(fmr).threshold

    def point_at(self, fmr: float) -> Point:
        """The same with its counts."""
        for point in self.thresholds:
            if math.isclose(point.fmr, fmr, rel_tol=1e-9):
                return point
        known = ", ".join(f"{point.fmr:g}" for point in self.thresholds) or "none"
        raise UserError(
            f"a false-match rate of {fmr:g} is not supported by the data of this model's calibration "
            f"({self.data}): it has {known}"
        )

    def usual_point(self) -> Point | None:
        """What a verdict stands on where nobody chose a rate: the point at a false-match rate of USUAL_RATE,
        else the nearest above it, else the nearest below; None where there is no point."""
        points = sorted(self.thresholds, key=lambda point: point.fmr)
        above = [point for point in points if point.fmr >= USUAL_RATE * 0.999]
        return next(iter(above or points[-1:]), None)

    def unsure(self, uncertainty: Any) -> np.ndarray:
        """[B] bool: faces whose FaceEmbedding.uncertainty [B] is too large for an answer."""
        return np.asarray(np.asarray(uncertainty) > self.unsure_above)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; ``decision_of({"decision": this})`` is the same decision."""
        return {
            "format": FORMAT,
            "method": self.method,
            "thresholds": [vars(point).copy() for point in self.thresholds],
            "calibration": self.calibration.to_dict() if self.calibration else None,
            "unsure_above": self.unsure_above if math.isfinite(self.unsure_above) else None,
            "unsure_rule": self.unsure_rule,
            "data": self.data,
            "demonstration": self.demonstration,
        }


def decision_of(facts: Mapping[str, Any] | None) -> Decision | None:
    """The decision in a model file's facts; None where the model was never calibrated.

    A file of before, with facts["calibration"], gives its one threshold and no probability. Raises UserError
    where what is there is damaged or of a later format.
    """
    facts = facts or {}
    try:
        if facts.get(FACT) is not None:
            return _read(facts[FACT])
        if "calibration" in facts:
            return _read_threshold(facts["calibration"])
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UserError(f"the model's calibration is damaged: {AGAIN}") from None
    return None


def fit_decision(
    scores: np.ndarray,
    same: np.ndarray,
    method: str,
    *,
    data: str,
    unsure: tuple[float, str] = (math.inf, "not measured"),
    prior: float = PRIOR,
    rates: tuple[float, ...] = RATES,
    demonstration: bool = False,
) -> Decision:
    """The decision that scores [N] (larger = more alike, NaN = failed) of pairs same [N] bool bear out.

    data    what the pairs show, in a few words
    unsure  what ``unsure_above`` gives

    Raises UserError where not one of ``rates`` is supported, or where nothing can be fitted.
    ``facts["decision"] = fit_decision(...).to_dict()`` is how it is kept.
    """
    points = []
    reason = ""
    for target in rates:
        at = tar_at_far(scores, same, target)
        if at.threshold is None or not np.isfinite(at.threshold):
            reason = reason or at.reason or "every threshold that allows it accepts nothing at all"
            continue
        threshold = float(at.threshold)
        found, seen = at.tar, at.far
        points.append(
            Point(target, threshold, seen.events, seen.trials, found.events, found.trials)
        )
    if not points:
        raise UserError(f"no threshold at a false-match rate of {max(rates):g}: {reason}")
    calibration = fit_calibration(scores, same, "logistic", prior)
    if not calibration.slope > 0:
        raise UserError(
            f"scores of one person are not larger than those of two on {data}: this model tells nobody apart"
        )
    return Decision(method, tuple(points), data, unsure[0], unsure[1], demonstration, calibration)


def unsure_above(
    scores: np.ndarray, uncertainty: np.ndarray, threshold: float, others: np.ndarray
) -> tuple[float, str]:
    """The uncertainty above which no answer is given, and the rule in words.

    scores [G], uncertainty [G]  genuine pairs, of easy and of hard faces, and the larger uncertainty of their
                                 two faces
    threshold                    at a false-match rate of 1 %
    others [F]                   uncertainties of single faces, for where no such number is found

    The smallest number above which more than half of the genuine pairs (at least 30 of them) are missed: an
    answer would be wrong more often than right. Where there is none, or it would leave half of ``others``
    without an answer, their 99th percentile.
    """
    scores = checked_scores(scores)
    order = np.argsort(-uncertainty, kind="stable")
    ordered = uncertainty[order].astype(np.float64)
    missed = np.cumsum(~(scores[order] >= threshold))  # NaN >= x is False: a failure is a miss
    count = np.arange(1, len(order) + 1)
    # A cut lies between two different uncertainties.
    cuts = np.append(ordered[1:] < ordered[:-1], False) if len(ordered) else np.zeros(0, bool)
    good = np.flatnonzero(cuts & (count >= MIN_ERRORS) & (missed > UNSURE_MISSED * count))
    if len(good) and not (len(others) and ordered[good[-1] + 1] < np.median(others)):
        at = int(good[-1])
        return float(ordered[at + 1]), (
            f"above it {missed[at]} of {count[at]} genuine pairs were missed at a false-match rate of "
            f"{100 * UNSURE_AT:g} %"
        )
    if not len(others):
        return math.inf, "not measured"
    return float(np.quantile(others, UNSURE_QUANTILE)), (
        f"the {100 * UNSURE_QUANTILE:g}th percentile of {len(others)} faces: the pairs missed gave no "
        "better limit"
    )


def _read(values: Any) -> Decision:
    if values["format"] != FORMAT:
        raise UserError(
            f"the model's decision has format {values['format']!r}, this urface reads {FORMAT}: {AGAIN}"
        )
    fit = values["calibration"]
    calibration = None
    if fit is not None:
        if fit["method"] != "logistic":
            raise ValueError(fit["method"])
        numbers = [float(fit[name]) for name in ("prior", "slope", "offset")]
        prior, slope, offset = numbers
        if not (all(map(math.isfinite, numbers)) and 0 < prior < 1 and slope > 0):
            raise ValueError(numbers)
        calibration = ScoreCalibration(
            "logistic", prior, int(fit["genuine"]), int(fit["impostor"]), slope, offset
        )
    unsure = values["unsure_above"]
    decision = Decision(
        _method(values["method"]),
        tuple(_point(point) for point in values["thresholds"]),
        str(values["data"]),
        math.inf if unsure is None else float(unsure),
        str(values["unsure_rule"]),
        bool(values["demonstration"]),
        calibration,
    )
    if not decision.thresholds or math.isnan(decision.unsure_above):
        raise ValueError("thresholds")
    return decision


def _point(values: Any) -> Point:
    counts = [
        int(values[name])
        for name in ("false_matches", "impostor_pairs", "true_matches", "genuine_pairs")
    ]
    point = Point(float(values["fmr"]), float(values["threshold"]), *counts)
    if not (0 < point.fmr <= 1 and math.isfinite(point.threshold)):
        raise ValueError(point)
    if not 0 <= point.false_matches <= point.impostor_pairs or point.impostor_pairs < 1:
        raise ValueError(point)
    return point


def _read_threshold(values: Any) -> Decision:
    found = values.get("true_match_rate") or {}
    point = _point(
        {
            "fmr": values["false_match_rate"],
            "threshold": values["threshold"],
            "false_matches": values["false_matches"],
            "impostor_pairs": values["impostor_pairs"],
            "true_matches": found.get("events", 0),
            "genuine_pairs": found.get("trials", 0),
        }
    )
    return Decision(_method(values["method"]), (point,), str(values["data"]))


def _method(name: Any) -> str:
    if name not in ("likelihood", "cosine"):
        raise ValueError(name)
    return str(name)
