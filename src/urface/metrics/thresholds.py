"""The threshold that accepts as much as it can while its error rate stays at most a stated one."""

from __future__ import annotations

import math

import numpy as np

from urface.types import UserError

MIN_ERRORS = 30  # the rule of 30: fewer errors than this say too little about a rate


def allowed_errors(target: float, trials: int) -> int:
    """The largest count whose rate, count / trials, is at most ``target``.

    A plain floor(target * trials) loses one where the product rounds down: 0.29 * 100 is 28.99...
    """
    if not 0.0 < target <= 1.0:
        raise UserError(f"an error rate to aim at must lie above 0 and be at most 1, got {target}")
    count = min(int(target * trials), trials)
    while count < trials and (count + 1) / trials <= target:
        count += 1
    while count > 0 and count / trials > target:
        count -= 1
    return count


def why_unsupported(target: float, trials: int, kind: str, min_errors: int = MIN_ERRORS) -> str:
    """Why ``trials`` comparisons of a ``kind`` cannot support the rate ``target``; "" if they can.

    They can where the rate allows them at least ``min_errors`` errors. At least 1 in any case:
    below 1 / trials every threshold claims a rate that the data never saw.
    """
    if min_errors < 1:
        raise UserError(f"min_errors must be 1 or more, got {min_errors}")
    allowed = allowed_errors(target, trials)
    if allowed >= min_errors:
        return ""
    needed = math.ceil(min_errors / target)
    return (
        f"not supported: {trials} {kind} allow {allowed} errors at a rate of {target:g}, "
        f"{min_errors} are needed (about {needed} {kind})"
    )


def threshold_at_most(negative: np.ndarray, positive: np.ndarray, allowed: int) -> float:
    """The lowest observed score that accepts (score >= it) at most ``allowed`` of ``negative``.

    negative  [I] finite scores that should fall below; positive  [G] finite scores that should not.
    Ties are all in or all out, so the threshold lies strictly above the score that would overshoot.
    +inf where no observed score will do: nothing is accepted. O(I + G), no sort.
    """
    if allowed >= len(negative):
        lowest = [float(part.min()) for part in (negative, positive) if len(part)]
        return min(lowest, default=math.inf)
    place = len(negative) - 1 - allowed
    ordered = np.partition(negative, place)
    overshooting = ordered[place]  # accepting it would accept allowed + 1 or more
    above = [part[part > overshooting] for part in (ordered[place + 1 :], positive)]
    return min((float(part.min()) for part in above if len(part)), default=math.inf)


def finite_or_none(value: float | None) -> float | None:
    """``value`` for JSON, which has no infinity."""
    return value if value is not None and math.isfinite(value) else None
