from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from urface.metrics.thresholds import allowed_errors, threshold_at_most, why_unsupported
from urface.types import UserError


def test_allowed_errors_loses_none_to_rounding() -> None:
    # 0.29 * 100 is 28.999999999999996 in binary, and 29 of 100 is exactly what was asked for.
    for trials in range(1, 300):
        for hundredths in range(1, 101):
            exact = math.floor(Fraction(hundredths, 100) * trials)
            assert allowed_errors(float(f"{hundredths / 100:.2f}"), trials) == exact


@pytest.mark.parametrize("target", [0.0, -0.1, 1.1, math.nan])
def test_a_target_that_is_no_rate_is_refused(target: float) -> None:
    with pytest.raises(UserError, match="must lie above 0"):
        allowed_errors(target, 100)


def test_the_rule_of_30_names_what_would_be_needed() -> None:
    assert why_unsupported(0.01, 3000, "impostor pairs") == ""
    assert why_unsupported(0.01, 2999, "impostor pairs") == (
        "not supported: 2999 impostor pairs allow 29 errors at a rate of 0.01, 30 are needed "
        "(about 3000 impostor pairs)"
    )
    assert "allow 0 errors" in why_unsupported(1e-4, 9999, "pairs", min_errors=1)
    with pytest.raises(UserError, match="min_errors"):
        why_unsupported(0.1, 100, "pairs", min_errors=0)


def test_a_tie_that_would_overshoot_is_left_out_whole() -> None:
    negative = np.array([0.1, 0.5, 0.5, 0.5, 0.9])
    positive = np.array([0.5, 0.6, 0.95])
    assert threshold_at_most(negative, positive, 0) == 0.95
    assert threshold_at_most(negative, positive, 1) == 0.6
    assert threshold_at_most(negative, positive, 3) == 0.6  # accepting 0.5 would make it 4
    assert threshold_at_most(negative, positive, 4) == 0.5
    assert threshold_at_most(negative, positive, 5) == 0.1


def test_nothing_is_accepted_where_every_score_would_overshoot() -> None:
    assert threshold_at_most(np.full(9, 0.5), np.full(4, 0.5), 8) == math.inf
    assert threshold_at_most(np.array([]), np.array([]), 0) == math.inf
    assert threshold_at_most(np.array([]), np.array([0.3, 0.2]), 0) == 0.2
