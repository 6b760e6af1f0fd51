from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from urface.metrics.intervals import clopper_pearson, clopper_pearson_bounds, rate, withheld
from urface.types import UserError


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(
    ("events", "trials"),
    [(0, 1), (1, 1), (0, 30), (30, 30), (3, 7), (5052, 6000), (31, 15_658_489)],
)
def test_clopper_pearson_equals_scipys_exact_interval(
    events: int, trials: int, level: float
) -> None:
    expected = binomtest(events, trials).proportion_ci(level, method="exact")
    assert clopper_pearson(events, trials, level) == pytest.approx(tuple(expected), rel=1e-9)


@pytest.mark.parametrize("trials", [5, 60, 400])
@pytest.mark.parametrize("chance", [0.001, 0.03, 0.2, 0.5, 0.97])
def test_clopper_pearson_covers_at_least_its_level(trials: int, chance: float) -> None:
    # Summed over every possible outcome, so the coverage is exact, not simulated.
    events = np.arange(trials + 1)
    low, high = clopper_pearson_bounds(events, np.full_like(events, trials))
    covered = (low <= chance) & (chance <= high)
    assert binom.pmf(events[covered], trials, chance).sum() >= 0.95 - 1e-12


def test_the_rule_of_three_bounds_a_rate_never_seen() -> None:
    low, high = clopper_pearson(0, 1000, 0.90)  # one-sided 95%
    assert low == 0.0
    assert high == pytest.approx(3 / 1000, rel=0.01)


@pytest.mark.parametrize(
    ("events", "trials", "level"), [(1, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)]
)
def test_impossible_counts_and_levels_are_refused(events: int, trials: int, level: float) -> None:
    with pytest.raises(UserError):
        clopper_pearson(events, trials, level)


def test_a_rate_reads_as_percent_interval_and_counts() -> None:
    assert rate(5052, 6000).format() == "84.2 [83.3, 85.1] (5052/6000)"
    assert rate(5052, 6000).format(digits=2) == "84.20 [83.25, 85.11] (5052/6000)"


def test_a_rate_of_too_few_trials_is_withheld_with_its_reason() -> None:
    few = rate(3, 9, min_trials=10, failures=1)
    assert (few.value, few.low, few.high) == (None, None, None)
    assert few.format() == "withheld: 9 trials, at least 10 are needed"
    assert (few.events, few.trials, few.failures) == (3, 9, 1)
    assert rate(0, 0).value is None


def test_a_rate_is_json() -> None:
    for one in (rate(np.int64(3), np.int64(9)), withheld("too few", 9)):
        assert json.loads(json.dumps(one.to_dict(), allow_nan=False)) == one.to_dict()


def test_metrics_load_without_torch() -> None:
    code = (
        "import sys; from urface.metrics import "
        "bootstrap, curves, identification, intervals, rejection, verification; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
