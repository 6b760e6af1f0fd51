"""What was measured, by row, condition and metric: for each seed, and under resamples of the people."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from urface.evaluation.judge import Identification, Verification, judge_pairs, judge_search
from urface.evaluation.outcomes import Outcomes, TestProtocol
from urface.metrics.intervals import Rate
from urface.metrics.paired import SubjectDraws
from urface.metrics.seeds import SeedMean, seed_mean

Key = tuple[str, int, str]  # row, seed, condition


class Metric(NamedTuple):
    """``kind`` accuracy, rank (``at`` 1, 5, 10) or tpir (``at`` FPIR); ``gallery`` of a search."""

    kind: str
    at: float = 0.0
    gallery: str = "single"

    @property
    def title(self) -> str:
        """For a column."""
        if self.kind == "accuracy":
            return "Accuracy"
        if self.kind == "rank":
            return f"Rank-{self.at:g}"
        return f"TPIR at FPIR {self.at:.0%}"


ACCURACY = Metric("accuracy")
RANK1, RANK5, RANK10 = (Metric("rank", rank) for rank in (1, 5, 10))
TPIR1, TPIR10 = (Metric("tpir", fpir) for fpir in (0.01, 0.1))


@dataclass(frozen=True)
class Value:
    """A metric's mean over seeds with two intervals; shares in 0..1.

    low, high   by resampling the test people, the trainings as they are; None where withheld
    over_seeds  Student's interval over seeds, the test set as it is
    reason      why the value is withheld
    """

    over_seeds: SeedMean | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def mean(self) -> float | None:
        """Over seeds."""
        return self.over_seeds.mean if self.over_seeds else None

    def __str__(self) -> str:
        """In percent with its interval, and half of Student's where there are several seeds."""
        if self.mean is None or self.low is None or self.high is None:
            return "withheld"
        text = f"{100 * self.mean:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"
        half = self.over_seeds.half_width if self.over_seeds else None
        return text if half is None else f"{text} ± {100 * half:.1f}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        over = self.over_seeds.to_dict() if self.over_seeds else None
        return {"over_seeds": over, "low": self.low, "high": self.high, "reason": self.reason}


@dataclass(frozen=True)
class Measured:
    """Outcomes of all cells, judged once each; what is asked for twice is computed once."""

    protocol: TestProtocol
    outcomes: dict[Key, Outcomes]
    seeds: int
    draws: SubjectDraws
    _kept: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def rows(self) -> set[str]:
        """Names of the rows that were judged."""
        return {row for row, _, _ in self.outcomes}

    @cached_property
    def conditions(self) -> list[str]:
        """In the order in which they were judged."""
        return list(dict.fromkeys(condition for _, _, condition in self.outcomes))

    @property
    def galleries(self) -> list[str]:
        return list(self.protocol.searches)

    def verification(self, key: Key) -> Verification:
        """1:1 of one cell."""
        if ("pairs", key) not in self._kept:
            judged = judge_pairs(self.outcomes[key].scores, self.protocol.pairs)
            self._kept["pairs", key] = judged
        found: Verification = self._kept["pairs", key]
        return found

    def identification(self, key: Key, gallery: str = "single") -> Identification:
        """1:N of one cell."""
        if ("search", key, gallery) not in self._kept:
            judged = judge_search(self.outcomes[key].searches[gallery])
            self._kept["search", key, gallery] = judged
        found: Identification = self._kept["search", key, gallery]
        return found

    def rate(self, key: Key, metric: Metric) -> Rate:
        """The rate of one cell with its counts."""
        if metric.kind == "accuracy":
            return self.verification(key).accuracy.pooled
        found = self.identification(key, metric.gallery)
        if metric.kind == "rank":
            return found.closed[int(metric.at)]
        rate: Rate = found.open[metric.at].tpir
        return rate

    def per_seed(self, row: str, condition: str, metric: Metric) -> list[float] | str:
        """The rate of each seed, or why it is withheld."""
        rates = [self.rate((row, seed, condition), metric) for seed in range(self.seeds)]
        for rate in rates:
            if rate.value is None:
                return rate.reason
        return [float(rate.value) for rate in rates if rate.value is not None]

    def resampled(self, row: str, condition: str, metric: Metric) -> np.ndarray:
        """[B] the metric's mean over seeds under each resample; all share the resamples."""
        key = ("resampled", row, condition, metric)
        if key not in self._kept:
            cells = [(row, seed, condition) for seed in range(self.seeds)]
            self._kept[key] = self._resampled(cells, metric)
        values: np.ndarray = self._kept[key]
        return values

    def _resampled(self, cells: list[Key], metric: Metric) -> np.ndarray:
        if metric.kind == "accuracy":
            right = [self.verification(cell).accuracy.correct for cell in cells]
            return self.draws.means(np.mean(right, axis=0), self.protocol.pair_people)
        people = self.protocol.probe_people(metric.gallery)
        found = [self.outcomes[cell].searches[metric.gallery] for cell in cells]
        if metric.kind == "rank":
            mated = found[0].mated
            hits = [~np.isnan(f.mate[mated]) & (f.better[mated] < metric.at) for f in found]
            return self.draws.means(np.mean(hits, axis=0), people[mated])
        seeds = [self.draws.tpir(f, people, metric.at) for f in found]
        return np.asarray(np.mean(seeds, axis=0))

    def value(self, row: str, condition: str, metric: Metric) -> Value:
        """The mean over seeds with both intervals, or withheld."""
        seeds = self.per_seed(row, condition, metric)
        if isinstance(seeds, str):
            return Value(None, reason=seeds)
        low, high = np.nanquantile(self.resampled(row, condition, metric), [0.025, 0.975])
        return Value(seed_mean(seeds), float(low), float(high))
