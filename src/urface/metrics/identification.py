"""One-to-many identification: who a probe is (closed set), and whether it is anyone (open set).

Scores come as one [N, M] matrix or as blocks of its rows, so that the matrix need never be held. A
probe whose comparison gave no score (NaN) is a miss where it has a mate in the gallery and no alarm
where it has none; it stays in the denominator and is counted in ``failures``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.metrics.comparisons import checked_scores
from urface.metrics.intervals import Rate, rate, withheld
from urface.metrics.thresholds import (
    MIN_ERRORS,
    allowed_errors,
    finite_or_none,
    threshold_at_most,
    why_unsupported,
)
from urface.types import UserError

Scores = np.ndarray | Iterable[np.ndarray]
CELLS_AT_ONCE = 1 << 22  # a block of scores is worked through in parts of this many


@dataclass(frozen=True, eq=False)
class SearchOutcomes:
    """What each of N probes met in the gallery; all that the rates below need.

    mated  [N] bool, whether the probe's identity has an entry in the gallery
    mate   [N] score of its best entry of that identity; NaN = none
    other  [N] score of its best entry of any other identity; NaN = none
    better [N] int64, entries of others that score at least ``mate``: ties count against us
    """

    mated: np.ndarray
    mate: np.ndarray
    other: np.ndarray
    better: np.ndarray

    @property
    def failed_mated(self) -> int:
        """Mated probes without a score to their mate."""
        return int(np.count_nonzero(self.mated & np.isnan(self.mate)))

    @property
    def failed_nonmated(self) -> int:
        """Non-mated probes without any score."""
        return int(np.count_nonzero(~self.mated & np.isnan(self.other)))


def search_outcomes(
    scores: Scores, probe_ids: Sequence[Any] | np.ndarray, gallery_ids: Sequence[Any] | np.ndarray
) -> SearchOutcomes:
    """Reduce scores [N, M], or an iterable of their row blocks [n, M] in order, to N outcomes.

    probe_ids [N], gallery_ids [M]; an identity may have several gallery entries, of which the best
    counts. Raises UserError where sizes do not add up, a score is infinite, or a list is empty.
    """
    probe_codes, gallery_codes = codes_of(probe_ids, gallery_ids)
    mated = np.isin(probe_codes, gallery_codes)
    mate = np.full(len(probe_codes), np.nan)
    other = np.full(len(probe_codes), np.nan)
    better = np.zeros(len(probe_codes), dtype=np.int64)
    start = 0
    for part in parts_of(scores, len(gallery_codes)):
        stop = start + len(part)
        if stop > len(probe_codes):
            raise UserError(f"there are more rows of scores than the {len(probe_codes)} probes")
        is_mate = probe_codes[start:stop, None] == gallery_codes[None, :]
        part = np.where(np.isnan(part), -np.inf, part)  # no score never wins
        others = np.where(is_mate, -np.inf, part)
        best_mate = np.where(is_mate, part, -np.inf).max(axis=1)
        better[start:stop] = np.count_nonzero(others >= best_mate[:, None], axis=1)
        for column, best in ((mate, best_mate), (other, others.max(axis=1))):
            column[start:stop] = np.where(np.isneginf(best), np.nan, best)
        start = stop
    if start != len(probe_codes):
        raise UserError(f"there are {start} rows of scores for {len(probe_codes)} probes")
    return SearchOutcomes(mated, mate, other, better)


def codes_of(
    probe_ids: Sequence[Any] | np.ndarray, gallery_ids: Sequence[Any] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Identities as small integers, equal where the identities are."""
    # By way of a list: tables hand over text as objects, whose type would not show below.
    probes, gallery = (np.asarray(np.asarray(ids).tolist()) for ids in (probe_ids, gallery_ids))
    for ids, name in ((probes, "probe_ids"), (gallery, "gallery_ids")):
        if ids.ndim != 1 or not len(ids):
            raise UserError(f"{name} must be a list of one identity or more")
    if (probes.dtype.kind in "US") != (gallery.dtype.kind in "US"):
        # NumPy would compare "7" with 7 by turning both to text.
        raise UserError("probe_ids and gallery_ids must be of one type, text or numbers")
    codes = np.unique(np.concatenate([probes, gallery]), return_inverse=True)[1]
    return codes[: len(probes)], codes[len(probes) :]


def parts_of(scores: Scores, columns: int) -> Iterable[np.ndarray]:
    """The rows of ``scores`` in order, checked, at most CELLS_AT_ONCE scores at a time."""
    rows = max(1, CELLS_AT_ONCE // columns)
    for block in [scores] if isinstance(scores, np.ndarray) else scores:
        block = np.asarray(block)
        if block.ndim != 2 or block.shape[1] != columns:
            raise UserError(
                f"a block of scores must be [rows, {columns}], one column per gallery entry, got "
                f"{list(block.shape)}"
            )
        for start in range(0, len(block), rows):
            yield checked_scores(block[start : start + rows])


def closed_set(
    scores: Scores,
    probe_ids: Sequence[Any] | np.ndarray,
    gallery_ids: Sequence[Any] | np.ndarray,
    ranks: Sequence[int] = (1, 5, 10),
) -> dict[int, Rate]:
    """Identification rate at each rank (the CMC): the mate is among the ``rank`` best entries.

    Arguments and errors as ``search_outcomes``, and UserError where a probe has no mate in the
    gallery.
    """
    return rank_rates(search_outcomes(scores, probe_ids, gallery_ids), ranks)


def rank_rates(outcomes: SearchOutcomes, ranks: Sequence[int] = (1, 5, 10)) -> dict[int, Rate]:
    """``closed_set`` from outcomes already taken."""
    strangers = int(np.count_nonzero(~outcomes.mated))
    if strangers:
        raise UserError(
            f"{strangers} probes are of nobody in the gallery: judge them as an open set"
        )
    if min(ranks, default=1) < 1:
        raise UserError(f"a rank is 1 or more, got {min(ranks)}")
    found = ~np.isnan(outcomes.mate)
    return {
        rank: rate(
            int(np.count_nonzero(found & (outcomes.better < rank))),
            len(outcomes.mated),
            failures=outcomes.failed_mated,
        )
        for rank in ranks
    }


@dataclass(frozen=True)
class TpirAtFpir:
    """True-positive identification rate where the false-positive one is at most ``fpir_target``.

    Where ``supported`` is False both rates are withheld with ``reason`` and ``threshold`` is None.
    A threshold of +inf accepts nothing. ``fpir.failures`` and ``tpir.failures`` count the non-mated
    and mated probes without a score.
    """

    fpir_target: float
    threshold: float | None
    fpir: Rate
    tpir: Rate
    supported: bool
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; a threshold that accepts nothing (+inf) is None."""
        return {
            "fpir_target": self.fpir_target,
            "threshold": finite_or_none(self.threshold),
            "fpir": self.fpir.to_dict(),
            "tpir": self.tpir.to_dict(),
            "supported": self.supported,
            "reason": self.reason,
        }


def open_set(
    scores: Scores,
    probe_ids: Sequence[Any] | np.ndarray,
    gallery_ids: Sequence[Any] | np.ndarray,
    fpirs: Sequence[float] = (0.01, 0.10),
    *,
    min_errors: int = MIN_ERRORS,
) -> dict[float, TpirAtFpir]:
    """TPIR at each FPIR; non-mated probes are those whose identity is not in ``gallery_ids``.

    Arguments and errors as ``search_outcomes`` and ``tpir_at_fpir``.
    """
    outcomes = search_outcomes(scores, probe_ids, gallery_ids)
    return {fpir: tpir_at_fpir(outcomes, fpir, min_errors=min_errors) for fpir in fpirs}


def tpir_at_fpir(
    outcomes: SearchOutcomes, fpir: float, *, min_errors: int = MIN_ERRORS
) -> TpirAtFpir:
    """1 - FNIR(N, R = 1, T) of ISO/IEC 19795-1 at the lowest T with FPIR(N, T) at most ``fpir``.

    A non-mated probe raises a false alarm where its best entry scores >= T; a mated one is found
    where its mate stands alone at rank 1 and scores >= T. Withheld where ``fpir`` allows fewer than
    ``min_errors`` false alarms. Raises UserError where mated or non-mated probes are missing, or
    fpir is not in (0, 1].
    """
    mated = outcomes.mated
    for part, name in ((mated, "mated"), (~mated, "non-mated")):
        if not part.any():
            raise UserError(f"an open set needs {name} probes and there are none")
    num_mated, num_nonmated = int(mated.sum()), int((~mated).sum())
    reason = why_unsupported(fpir, num_nonmated, "non-mated probes", min_errors)
    if reason:
        return TpirAtFpir(
            fpir_target=fpir,
            threshold=None,
            fpir=withheld(reason, num_nonmated, failures=outcomes.failed_nonmated),
            tpir=withheld(reason, num_mated, failures=outcomes.failed_mated),
            supported=False,
            reason=reason,
        )
    alarms = outcomes.other[~mated & ~np.isnan(outcomes.other)]
    firsts = outcomes.mate[mated & ~np.isnan(outcomes.mate) & (outcomes.better == 0)]
    threshold = threshold_at_most(alarms, firsts, allowed_errors(fpir, num_nonmated))
    return TpirAtFpir(
        fpir_target=fpir,
        threshold=threshold,
        fpir=rate(
            int((alarms >= threshold).sum()), num_nonmated, failures=outcomes.failed_nonmated
        ),
        tpir=rate(int((firsts >= threshold).sum()), num_mated, failures=outcomes.failed_mated),
        supported=True,
    )
