"""Error rates under the names and definitions of ISO/IEC 19795-1: FMR and FNMR, FPIR and FNIR(N, R, T).

A match is score >= T throughout. A comparison without a score (NaN) is a non-match: an error for two
images of one person, none for two people; it never leaves a denominator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.metrics.comparisons import split
from urface.metrics.identification import SearchOutcomes
from urface.metrics.intervals import Rate, rate, withheld
from urface.metrics.thresholds import (
    MIN_ERRORS,
    allowed_errors,
    finite_or_none,
    threshold_at_most,
    why_unsupported,
)
from urface.metrics.verification import tar_at_far
from urface.types import UserError


@dataclass(frozen=True)
class FnmrAtFmr:
    """The false-non-match rate where the false-match rate is at most ``fmr_target``; as ``TarAtFar``."""

    fmr_target: float
    threshold: float | None
    fmr: Rate
    fnmr: Rate
    supported: bool
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; a threshold that accepts nothing (+inf) is None."""
        return {
            "fmr_target": self.fmr_target,
            "threshold": finite_or_none(self.threshold),
            "fmr": self.fmr.to_dict(),
            "fnmr": self.fnmr.to_dict(),
            "supported": self.supported,
            "reason": self.reason,
        }


def fnmr_at_fmr(
    scores: np.ndarray, same: np.ndarray, fmr: float, *, min_errors: int = MIN_ERRORS
) -> FnmrAtFmr:
    """1 - TAR at the same threshold as ``tar_at_far``; arguments and errors as there."""
    at = tar_at_far(scores, same, fmr, min_errors=min_errors)
    tar = at.tar
    if not at.supported:
        fnmr = tar
    else:
        fnmr = rate(tar.trials - tar.events, tar.trials, failures=tar.failures)
    return FnmrAtFmr(fmr, at.threshold, at.far, fnmr, at.supported, at.reason)


def rates_at_threshold(
    scores: np.ndarray, same: np.ndarray, threshold: float, *, min_trials: int = 1
) -> tuple[Rate, Rate]:
    """(FMR, FNMR) at a threshold chosen elsewhere; each withheld below ``min_trials`` comparisons.

    Arguments and errors as ``split``, and UserError where the threshold is NaN.
    """
    if math.isnan(threshold):
        raise UserError("a threshold must be a number, got nan")
    pairs = split(scores, same)
    matched = int(np.count_nonzero(pairs.impostor >= threshold))
    missed = pairs.num_genuine - int(np.count_nonzero(pairs.genuine >= threshold))
    return (
        rate(matched, pairs.num_impostor, min_trials, failures=pairs.failed_impostor),
        rate(missed, pairs.num_genuine, min_trials, failures=pairs.failed_genuine),
    )


def fpir(outcomes: SearchOutcomes, threshold: float) -> Rate:
    """FPIR(N, T): non-mated probes whose best entry scores >= T. UserError where there are none."""
    strangers = ~outcomes.mated
    if not strangers.any():
        raise UserError(
            "a false-positive identification rate needs non-mated probes: there are none"
        )
    alarms = int(np.count_nonzero(outcomes.other[strangers] >= threshold))
    return rate(alarms, int(strangers.sum()), failures=outcomes.failed_nonmated)


def fnir(outcomes: SearchOutcomes, threshold: float = -math.inf, rank: int | None = 1) -> Rate:
    """FNIR(N, R, T): mated probes whose mate scores below T, or stands behind rank R.

    rank None asks for no place in the list, only for the threshold; threshold -inf (the default) asks for
    the place alone, which makes 1 - FNIR a point of the CMC. Raises UserError where no probe is mated, or
    the rank is below 1.
    """
    mated = outcomes.mated
    if not mated.any():
        raise UserError("a false-negative identification rate needs mated probes: there are none")
    found = _in_reach(outcomes, rank) & (outcomes.mate >= threshold)
    trials = int(mated.sum())
    return rate(trials - int(found.sum()), trials, failures=outcomes.failed_mated)


def _in_reach(outcomes: SearchOutcomes, rank: int | None) -> np.ndarray:
    """[N] bool: mated, with a score, and within the rank."""
    if rank is not None and rank < 1:
        raise UserError(f"a rank is 1 or more, got {rank}")
    found = outcomes.mated & ~np.isnan(outcomes.mate)
    return found if rank is None else found & (outcomes.better < rank)


@dataclass(frozen=True)
class FnirAtFpir:
    """FNIR(N, R, T) at the lowest T whose FPIR is at most ``fpir_target``; as ``TpirAtFpir``."""

    fpir_target: float
    rank: int | None
    threshold: float | None
    fpir: Rate
    fnir: Rate
    supported: bool
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; a threshold that accepts nothing (+inf) is None."""
        return {
            "fpir_target": self.fpir_target,
            "rank": self.rank,
            "threshold": finite_or_none(self.threshold),
            "fpir": self.fpir.to_dict(),
            "fnir": self.fnir.to_dict(),
            "supported": self.supported,
            "reason": self.reason,
        }


def fnir_at_fpir(
    outcomes: SearchOutcomes,
    fpir_target: float,
    rank: int | None = 1,
    *,
    min_errors: int = MIN_ERRORS,
) -> FnirAtFpir:
    """``fnir`` at the threshold that ``fpir_target`` sets on these non-mated probes.

    With rank 1 it is 1 - TPIR of ``tpir_at_fpir``. Withheld and raised as there.
    """
    mated = outcomes.mated
    for part, name in ((mated, "mated"), (~mated, "non-mated")):
        if not part.any():
            raise UserError(f"an open set needs {name} probes and there are none")
    strangers = int((~mated).sum())
    reason = why_unsupported(fpir_target, strangers, "non-mated probes", min_errors)
    if reason:
        return FnirAtFpir(
            fpir_target,
            rank,
            None,
            withheld(reason, strangers, failures=outcomes.failed_nonmated),
            withheld(reason, int(mated.sum()), failures=outcomes.failed_mated),
            False,
            reason,
        )
    alarms = outcomes.other[~mated & ~np.isnan(outcomes.other)]
    mates = outcomes.mate[_in_reach(outcomes, rank)]
    threshold = threshold_at_most(alarms, mates, allowed_errors(fpir_target, strangers))
    return FnirAtFpir(
        fpir_target,
        rank,
        threshold,
        fpir(outcomes, threshold),
        fnir(outcomes, threshold, rank),
        True,
    )
