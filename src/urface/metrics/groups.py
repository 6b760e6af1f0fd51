"""Error rates by group of people at one threshold for all: who bears the errors (ISO/IEC 19795-10)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from urface.metrics.comparisons import checked
from urface.metrics.intervals import Rate, rate, withheld
from urface.types import UserError

MIN_TRIALS = 100  # at 100 trials without an error the interval still reaches to 3.6%
BETWEEN = " x "
PAIRS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class GroupRow:
    """A group: FMR and FNMR of its pairs, FTA of its images (None where images were not given)."""

    group: str
    fmr: Rate
    fnmr: Rate
    fta: Rate | None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "group": self.group,
            "fmr": self.fmr.to_dict(),
            "fnmr": self.fnmr.to_dict(),
            "fta": None if self.fta is None else self.fta.to_dict(),
        }


@dataclass(frozen=True)
class Disparity:
    """A rate's spread over the groups whose rate is given.

    ratio   worst over median; None where the median is 0 or fewer than two groups have the rate
    low     the ratio that is sure: the lower bound of the worst group over the upper bound of the middle one
    worst   the group
    groups  how many have the rate
    """

    ratio: float | None
    low: float | None
    worst: str
    groups: int

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dict(vars(self))


@dataclass(frozen=True)
class GroupTable:
    """The rows by name of group, those of pairs between two groups apart, and those of everybody.

    between  impostor pairs whose people are of two groups, ``a x b``; they have no FNMR
    unknown  pairs left out of the rows because the group of an image is not known; they are in ``all``
    """

    threshold: float
    rows: tuple[GroupRow, ...]
    between: tuple[GroupRow, ...]
    all: GroupRow
    fmr: Disparity
    fnmr: Disparity
    fta: Disparity
    unknown: int

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "threshold": self.threshold if math.isfinite(self.threshold) else None,
            "rows": [row.to_dict() for row in self.rows],
            "between": [row.to_dict() for row in self.between],
            "all": self.all.to_dict(),
            "fmr": self.fmr.to_dict(),
            "fnmr": self.fnmr.to_dict(),
            "fta": self.fta.to_dict(),
            "unknown": self.unknown,
        }


def group_table(
    scores: np.ndarray,
    same: np.ndarray,
    groups: np.ndarray | Sequence[Sequence[str]],
    threshold: float,
    *,
    image_groups: Sequence[str] | None = None,
    acquired: np.ndarray | None = None,
    min_trials: int = MIN_TRIALS,
) -> GroupTable:
    """FMR, FNMR and FTA of each group at one ``threshold``, with Clopper-Pearson's intervals.

    scores        [N] larger = more alike, NaN = failed; same [N] bool
    groups        [N, 2] text, the group of each of a pair's two images; "" is not known
    image_groups  [I] the group of each image that was to be embedded, and acquired [I] bool whether it was;
                  both or neither
    min_trials    a rate of fewer trials is withheld, and takes no part in the ratios

    A group's FMR is over impostor pairs within it, the harder comparison; pairs between two groups have rows
    of their own. A genuine pair whose two images are said to be of different groups counts for neither.
    Raises UserError where the shapes do not fit or the threshold is NaN.
    """
    scores, same = checked(scores, same)
    named = np.asarray(groups, dtype=str)
    if named.shape != (len(scores), 2):
        raise UserError(f"groups must be [{len(scores)}, 2], got {list(named.shape)}")
    images, had = _images(image_groups, acquired)
    names = sorted({*np.unique(named).tolist(), *np.unique(images).tolist()} - {""})
    known = np.array(names, dtype=str)
    return group_table_of_codes(
        scores,
        same,
        _codes(named, known),
        names,
        threshold,
        image_codes=None if image_groups is None else _codes(images, known),
        acquired=had,
        min_trials=min_trials,
    )


def group_table_of_codes(
    scores: np.ndarray,
    same: np.ndarray,
    codes: np.ndarray,
    names: Sequence[str],
    threshold: float,
    *,
    image_codes: np.ndarray | None = None,
    acquired: np.ndarray | None = None,
    min_trials: int = MIN_TRIALS,
) -> GroupTable:
    """``group_table`` of groups as places in ``names`` (G, rising): codes [N, 2] int, -1 is not known.

    For many millions of pairs, whose groups as text would fill the memory. image_codes [I] int.
    """
    scores, same = checked(scores, same)
    if math.isnan(threshold):
        raise UserError("a threshold must be a number, got nan")
    size = len(names)
    counts = _count(scores, same, codes, size, threshold)
    within = np.diagonal(counts, axis1=1, axis2=2)
    seen = np.zeros(size, bool)
    seen[within[0] + within[3] > 0] = True
    lost = of_images = None
    if image_codes is not None and acquired is not None:
        there = image_codes >= 0
        of_images = np.bincount(image_codes[there], minlength=size)
        lost = np.bincount(image_codes[there & ~acquired], minlength=size)
        seen |= of_images > 0

    def row(name: str, cells: np.ndarray, place: int | None) -> GroupRow:
        fta = None
        if lost is not None and of_images is not None and place is not None:
            fta = rate(int(lost[place]), int(of_images[place]), min_trials)
        return GroupRow(name, _rate(cells[3:], min_trials), _rate(cells[:3], min_trials), fta)

    rows = tuple(row(names[g], within[:, g], g) for g in np.flatnonzero(seen).tolist())
    couples = np.argwhere(np.triu(counts[3], 1) > 0).tolist()
    nothing = np.zeros(3, np.int64)
    between = tuple(
        row(f"{names[a]}{BETWEEN}{names[b]}", np.append(nothing, counts[3:, a, b]), None)
        for a, b in couples
    )
    failed, matched = np.isnan(scores), scores >= threshold  # NaN >= threshold is False
    whole = [same, same & ~matched, same & failed, ~same, ~same & matched, ~same & failed]
    everybody = row("all", np.array([np.count_nonzero(part) for part in whole]), None)
    if image_codes is not None and acquired is not None:
        fta = rate(int((~acquired).sum()), len(acquired), min_trials)
        everybody = replace(everybody, fta=fta)
    placed = int(within[0].sum() + np.triu(counts[3]).sum())
    return GroupTable(
        threshold,
        rows,
        between,
        everybody,
        _disparity([(r.group, r.fmr) for r in rows]),
        _disparity([(r.group, r.fnmr) for r in rows]),
        _disparity([(r.group, r.fta) for r in rows if r.fta is not None]),
        len(scores) - placed,
    )


def _codes(names: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Places in ``known`` of names of any shape, -1 for ""."""
    return np.where(names == "", -1, np.searchsorted(known, names))


def _count(
    scores: np.ndarray, same: np.ndarray, codes: np.ndarray, size: int, threshold: float
) -> np.ndarray:
    """[6, G, G], the lower group first: genuine pairs, those refused, those without a score; then
    impostor pairs, those accepted, those without a score."""
    codes = np.asarray(codes)
    if codes.shape != (len(scores), 2):
        raise UserError(f"groups must be [{len(scores)}, 2], got {list(codes.shape)}")
    counts = np.zeros((6, size, size), np.int64)
    for start in range(0, len(scores), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        score, genuine = scores[part], same[part]
        low, high = codes[part].min(1), codes[part].max(1)
        known, place = low >= 0, low * size + high
        match, failed = score >= threshold, np.isnan(score)
        chosen = [
            *(genuine, genuine & ~match, genuine & failed),
            *(~genuine, ~genuine & match, ~genuine & failed),
        ]
        for one, flags in enumerate(chosen):
            found = np.bincount(place[flags & known], minlength=size * size)
            counts[one] += found.reshape(size, size)
    return counts


def _images(
    image_groups: Sequence[str] | None, acquired: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    if (image_groups is None) != (acquired is None):
        raise UserError("image_groups and acquired go together: give both or neither")
    images = np.asarray(image_groups if image_groups is not None else [], dtype=str)
    had = np.asarray(acquired if acquired is not None else [], dtype=bool)
    if images.ndim != 1 or images.shape != had.shape:
        raise UserError(
            f"image_groups and acquired must be [I] each, got {list(images.shape)} and {list(had.shape)}"
        )
    return images, had


def _rate(counts: np.ndarray, min_trials: int) -> Rate:
    """Of trials, events and failures."""
    trials, events, failures = counts.tolist()
    if not trials:
        return withheld("no such pair", 0)
    return rate(events, trials, min_trials, failures=failures)


def _disparity(rates: Sequence[tuple[str, Rate]]) -> Disparity:
    given = sorted((r.value, r.low, r.high, name) for name, r in rates if r.value is not None)
    if len(given) < 2:
        return Disparity(None, None, given[0][3] if given else "", len(given))
    values = [value for value, *_ in given]
    median = float(np.median(values))
    worst, worst_low, _, name = given[-1]
    middle_high = given[len(given) // 2][2]
    if not median:
        return Disparity(None, None, name, len(given))
    assert worst_low is not None
    assert middle_high is not None
    return Disparity(worst / median, worst_low / middle_high, name, len(given))
