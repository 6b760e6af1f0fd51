"""Images that are there more than once: the same file, the same pixels, or nearly the same picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from urface.data.fingerprints import Fingerprints, likenesses
from urface.data.near_hashes import near_pairs
from urface.data.source import FaceSource

NEAR_BITS = 4
LIKE = 0.98  # correlation of the thumbnails from which a candidate counts


class Duplicate(NamedTuple):
    """``place`` shows what ``of`` does. kind: bytes, pixels or near; score: bits apart, 0 for the others.

    Places count through the set checked and then, from its length on, through the other one.
    """

    kind: str
    place: int
    of: int
    score: int = 0
    like: float = 1.0


def find_duplicates(
    sources: tuple[FaceSource, ...],
    prints: tuple[Fingerprints, ...],
    bits: int = NEAR_BITS,
    like: float = LIKE,
    progress: bool = True,
) -> list[Duplicate]:
    """Every image of one source, or of two, that an earlier one shows already.

    Of two sources only what they share: ``place`` lies in the first, ``of`` in the second. Within one, an
    image is told once, against the first that has its bytes, its pixels or nearly its picture, in that order.
    Nearly: at most ``bits`` of 64 of their look differ (0: the look is not asked), and the correlation of
    their thumbnails, decoded anew, is at least ``like``. Ascending by place.
    """
    offset = len(prints[0]) if len(prints) == 2 else 0
    good = np.concatenate([one.good for one in prints])
    told: dict[int, Duplicate] = {}
    for kind in ("bytes", "pixels"):
        columns = [one.content if kind == "bytes" else one.pixels for one in prints]
        codes = np.concatenate(columns).view([("a", "<u8"), ("b", "<u8")]).ravel()
        # A damaged file may be there twice too; one that cannot be read has no content.
        known = codes != np.zeros(1, codes.dtype)[0]
        for place, of in _repeats(codes, np.flatnonzero(known), offset):
            told.setdefault(place, Duplicate(kind, place, of))
    if bits:
        looks = np.concatenate([one.look for one in prints])
        told |= _near(looks, good, told, offset, sources, bits, like, progress)
    return [told[place] for place in sorted(told)]


def _repeats(codes: np.ndarray, places: np.ndarray, offset: int) -> list[tuple[int, int]]:
    """(place, first place of the same code); with an offset from the first source to the second only."""
    if offset:
        own, other = places[places < offset], places[places >= offset]
        values, first = np.unique(codes[other], return_index=True)
        if not len(values):
            return []
        at = np.minimum(np.searchsorted(values, codes[own]), len(values) - 1)
        hit = values[at] == codes[own]
        return list(zip(own[hit].tolist(), other[first[at[hit]]].tolist(), strict=True))
    _, first, inverse = np.unique(codes[places], return_index=True, return_inverse=True)
    again = first[inverse] != np.arange(len(places))
    of = places[first[inverse[again]]]
    return list(zip(places[again].tolist(), of.tolist(), strict=True))


def _near(
    looks: np.ndarray,
    good: np.ndarray,
    told: dict[int, Duplicate],
    offset: int,
    sources: tuple[FaceSource, ...],
    bits: int,
    like: float,
    progress: bool,
) -> dict[int, Duplicate]:
    """Near duplicates of images not told yet: by look, then by their pixels."""
    asked = good.copy()
    asked[[place for place in told if not offset or place < offset]] = False
    places = np.flatnonzero(asked)
    values, inverse = np.unique(looks[places], return_inverse=True)
    pairs, apart = near_pairs(values, bits)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(len(values) + 1))

    def showing(look: int) -> np.ndarray:
        """The images of a look."""
        return places[order[starts[look] : starts[look + 1]]]

    candidates: dict[tuple[int, int], int] = {}

    def consider(one: np.ndarray, other: np.ndarray, distance: int) -> None:
        for place in one.tolist():
            for of in other.tolist():
                low, high = sorted((place, of))
                if offset and low < offset <= high:
                    candidates[low, high] = distance
                elif not offset and low < high:
                    candidates[high, low] = distance

    # Against the first of a look only: a thousand frames that look alike are no million candidates.
    def first_of(look: int) -> np.ndarray:
        group = showing(look)
        return group[group >= offset][:1] if offset else group[:1]

    for look in np.flatnonzero(np.diff(starts) > 1).tolist():
        consider(showing(look), first_of(look), 0)
    for (one, other), distance in zip(pairs.tolist(), apart.tolist(), strict=True):
        consider(showing(one), first_of(other), distance)
        consider(showing(other), first_of(one), distance)
    wanted = np.array(sorted(candidates), np.int64).reshape(-1, 2)
    both, local = (sources[0], sources[-1]), wanted - [0, offset]
    found: dict[int, Duplicate] = {}
    for (place, of), alike in zip(wanted.tolist(), likenesses(both, local, progress), strict=True):
        if alike < like:
            continue
        best = found.get(place)
        distance = candidates[place, of]
        if best is None or distance < best.score:
            found[place] = Duplicate("near", place, of, distance, alike)
    return found
