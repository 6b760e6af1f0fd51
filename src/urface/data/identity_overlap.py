"""People who are in two data sets, or in one under two names: by name, and by embedding."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from tqdm import tqdm

from urface.data.centres import BLOCK, by_identity, robust_centre, unit_rows
from urface.metrics.intervals import Rate, rate
from urface.types import UserError

FALSE_SHARE = 1e-4  # of pairs of two people that may be listed
STEPS = 20_000  # of the histogram of cosines: 1e-4 each
MOST = 100_000  # candidates kept
BULK = 1.4826  # from the median deviation to the standard deviation of a normal


def plain_name(name: str) -> str:
    """A name as it is compared: accents, case, and what stands between its words left out."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", bare.casefold()).strip()


def same_names(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Places (in first, in second) of identities of one name. Numbers only are no names: left out."""
    at: dict[str, int] = {}
    for place, name in enumerate(second):
        at.setdefault(plain_name(name), place)
    found = []
    for place, name in enumerate(first):
        plain = plain_name(name)
        if plain in at and re.search(r"[^\W\d_]{2}", plain):
            found.append((place, at[plain]))
    return found


@dataclass(frozen=True, eq=False)
class Overlap:
    """Pairs of identities whose centres lie near enough to be one person, the surest first.

    pairs      [P, 2] places of identities, in the first and second set (or in the one)
    scores     [P] cosine of the two centres
    threshold  from which they are listed
    expected   so many pairs of two people are among the listed, by how the threshold was set
    genuine    two halves of one identity's images that lie above it: how many of the shared are found
    compared   pairs of identities
    """

    pairs: np.ndarray
    scores: np.ndarray
    threshold: float
    expected: float
    genuine: Rate
    compared: int


def overlap_by_embedding(
    features: np.ndarray,
    labels: np.ndarray,
    centres: np.ndarray,
    other: np.ndarray | None = None,
    false_share: float = FALSE_SHARE,
    progress: bool = True,
) -> Overlap:
    """Who of the first set is in the ``other`` (centres [B, D]), or in the first under two names (None).

    features [N, D] and labels [N] of the first set, centres [A, D] of its identities. The threshold comes
    from the first set's own cosines between centres of two names. For another set at most ``false_share`` of
    them lie at or above it. For the one set that would list the share whatever it holds: there it is where
    the normal that fits their bulk (median and median deviation) leaves one of them; look-alikes make the
    true tail heavier, so ``expected`` is the least. Streamed: memory for a block of centres. Raises UserError
    where there are fewer than two identities.
    """
    known = np.flatnonzero(np.linalg.norm(centres, axis=1) > 0)
    if len(known) < 2:
        raise UserError("an overlap of identities needs two of them or more to set its threshold")
    counts = _impostors(centres[known], progress)
    impostors = int(counts.sum())
    if other is None:
        step = _step_of_bulk(counts)
    else:
        allowed = math.floor(false_share * impostors)
        # The lowest step at which no more than the allowed lie above; none beyond the last.
        step = int(np.argmax(np.append(np.cumsum(counts[::-1])[::-1], 0) <= allowed))
    pairs, scores, compared = _above(centres, other, known, step, progress)
    share = 1 / impostors if other is None else int(counts[step:].sum()) / impostors
    threshold = step / (STEPS / 2) - 1
    genuine = _halves(features, labels, threshold)
    return Overlap(pairs, scores, threshold, share * compared, genuine, compared)


def _impostors(centres: np.ndarray, progress: bool) -> np.ndarray:
    """[STEPS + 1] a histogram of the cosines between centres [C, D] of two names."""
    counts = np.zeros(STEPS + 1, np.int64)
    for start, rows in _blocks(len(centres), len(centres), "impostors", progress):
        cosines = centres[start : start + rows] @ centres.T
        later = np.arange(len(centres)) > np.arange(start, start + len(cosines))[:, None]
        counts += np.bincount(_step(cosines[later]), minlength=STEPS + 1)
    return counts


def _step_of_bulk(counts: np.ndarray) -> int:
    """Where a normal that fits the bulk of the histogram leaves one pair of all above it."""
    places, total = np.cumsum(counts), int(counts.sum())
    middle = int(np.searchsorted(places, total / 2))
    off = np.bincount(np.abs(np.arange(len(counts)) - middle), counts)
    spread = BULK * max(int(np.searchsorted(np.cumsum(off), total / 2)), 1)
    return min(STEPS + 1, math.ceil(middle - spread * float(ndtri(1 / max(total, 2)))))


def _step(cosines: np.ndarray) -> np.ndarray:
    return np.clip(np.floor((cosines + 1) * (STEPS / 2)), 0, STEPS).astype(np.int64)


def _blocks(count: int, columns: int, what: str, progress: bool) -> Iterator[tuple[int, int]]:
    """Start and number of rows of blocks of a [count, columns] matrix of cosines."""
    rows = max(1, min(BLOCK, (1 << 24) // columns))
    starts = range(0, count, rows)
    for start in tqdm(starts, desc=what, unit=" blocks", disable=not progress, leave=False):
        yield start, rows


def _above(
    centres: np.ndarray,
    other: np.ndarray | None,
    known: np.ndarray,
    step: int,
    progress: bool,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Pairs at or above the threshold's step, the highest first, and how many were compared."""
    second = centres if other is None else other
    there = np.flatnonzero(np.linalg.norm(second, axis=1) > 0)
    pairs, scores, compared = np.empty((0, 2), np.int64), np.empty(0, np.float32), 0
    if not len(there):
        return pairs, scores, compared
    for start, rows in _blocks(len(known), len(there), "people", progress):
        mine = known[start : start + rows]
        cosines = centres[mine] @ second[there].T
        if other is None:
            cosines[mine[:, None] >= there[None, :]] = -2.0
        compared += int((cosines > -2.0).sum())
        one, two = np.nonzero(_step(cosines) >= step)
        new = cosines[one, two] > -2.0
        pairs = np.concatenate([pairs, np.stack([mine[one], there[two]], 1)[new]])
        scores = np.concatenate([scores, cosines[one, two][new]])
        if len(scores) > MOST:
            best = np.argpartition(-scores, MOST)[:MOST]
            pairs, scores = pairs[best], scores[best]
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -scores))
    return pairs[order], scores[order], compared


def _halves(features: np.ndarray, labels: np.ndarray, threshold: float) -> Rate:
    """How often two halves of one identity's images, four or more, lie above the threshold."""
    found = trials = 0
    for _, places in by_identity(labels):
        if len(places) < 4:
            continue
        rows = unit_rows(features[places])
        trials += 1
        found += float(robust_centre(rows[::2]) @ robust_centre(rows[1::2])) >= threshold
    return rate(found, trials)
