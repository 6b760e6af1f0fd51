from __future__ import annotations

import numpy as np
import pytest

from urface.metrics.comparisons import checked_flags, split
from urface.types import UserError


def test_failed_comparisons_stay_in_the_denominators() -> None:
    pairs = split(np.array([0.9, np.nan, 0.2, np.nan, np.nan]), np.array([1, 1, 0, 0, 0], bool))
    assert (pairs.num_genuine, pairs.num_impostor) == (2, 3)
    assert (pairs.failed_genuine, pairs.failed_impostor) == (1, 2)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_score_is_refused_with_its_place(value: float) -> None:
    with pytest.raises(UserError, match="score 2 is infinite"):
        split(np.array([0.1, np.nan, value]), np.array([True, False, True]))


@pytest.mark.parametrize(("same", "missing"), [(True, "impostor"), (False, "genuine")])
def test_a_missing_kind_of_pair_is_named(same: bool, missing: str) -> None:
    with pytest.raises(UserError, match=f"no {missing} comparison"):
        split(np.array([0.1, 0.2]), np.array([same, same]))


def test_lengths_and_types_that_do_not_fit_are_refused() -> None:
    flags = np.array([True, False])
    with pytest.raises(UserError, match="must be \\[N\\] each"):
        split(np.zeros(3), flags)
    with pytest.raises(UserError, match="must be \\[N\\] each"):
        split(np.zeros((2, 1)), flags)
    with pytest.raises(UserError, match="real numbers"):
        split(np.array(["a", "b"]), flags)
    with pytest.raises(UserError, match="only True and False"):
        split(np.zeros(2), np.array([1, 2]))
    with pytest.raises(UserError, match="no genuine"):
        split(np.zeros(0), np.zeros(0, bool))


def test_zero_and_one_are_taken_for_flags() -> None:
    assert checked_flags(np.array([1, 0]), "same").tolist() == [True, False]
