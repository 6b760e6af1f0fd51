"""Comparisons of two faces each, checked and split into genuine and impostor ones.

A score of NaN stands for a comparison that failed because no face was found in an image. It counts
as "not a match": wrong for two images of one person, right for two people. It never leaves a
denominator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from urface.types import UserError


@dataclass(frozen=True, eq=False)
class Comparisons:
    """genuine [.] and impostor [.] are the scores that exist; the failed ones are only counted."""

    genuine: np.ndarray
    impostor: np.ndarray
    failed_genuine: int
    failed_impostor: int

    @property
    def num_genuine(self) -> int:
        """Comparisons of one person, failures included."""
        return len(self.genuine) + self.failed_genuine

    @property
    def num_impostor(self) -> int:
        """Comparisons of two people, failures included."""
        return len(self.impostor) + self.failed_impostor


def split(scores: np.ndarray, same: np.ndarray) -> Comparisons:
    """Sort N comparisons into genuine and impostor.

    scores [N] larger = more alike, NaN = failed; same [N] bool. Raises UserError where the lengths
    differ, a score is infinite, or there is no genuine or no impostor comparison.
    """
    scores, same = checked(scores, same)
    genuine, impostor = scores[same], scores[~same]
    for part, name in ((genuine, "genuine"), (impostor, "impostor")):
        if not len(part):
            raise UserError(f"there is no {name} comparison: error rates need both kinds")
    num_genuine, num_impostor = len(genuine), len(impostor)
    genuine, impostor = genuine[~np.isnan(genuine)], impostor[~np.isnan(impostor)]
    return Comparisons(genuine, impostor, num_genuine - len(genuine), num_impostor - len(impostor))


def checked(scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``scores`` as floats and ``same`` as bool, both [N], or UserError (see ``split``)."""
    scores = checked_scores(scores)
    same = checked_flags(same, "same")
    if scores.ndim != 1 or scores.shape != same.shape:
        raise UserError(
            f"scores and same must be [N] each, got {list(scores.shape)} and {list(same.shape)}"
        )
    return scores, same


def checked_scores(scores: np.ndarray) -> np.ndarray:
    """``scores`` of any shape as floats (their own precision), NaN allowed, infinity refused."""
    scores = np.asarray(scores)
    if scores.dtype.kind in "iub":
        scores = scores.astype(np.float64)
    if scores.dtype.kind != "f":
        raise UserError(f"scores must be real numbers, got the type {scores.dtype}")
    if np.isinf(scores).any():
        place = ", ".join(str(i) for i in np.argwhere(np.isinf(scores))[0])
        raise UserError(f"score {place} is infinite: write NaN for a comparison that failed")
    return scores


def checked_flags(flags: np.ndarray, name: str) -> np.ndarray:
    """``flags`` as bool; 0 and 1 are taken for False and True, anything else is refused."""
    flags = np.asarray(flags)
    if flags.dtype == bool:
        return flags
    if flags.dtype.kind not in "iuf" or not np.isin(flags, (0, 1)).all():
        raise UserError(f"{name} must hold only True and False, got the type {flags.dtype}")
    return flags.astype(bool)
