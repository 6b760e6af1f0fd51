"""Images that are likely of somebody else than their label says, by their embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from tqdm import tqdm

from urface.data.centres import BLOCK, own_scores, unit_rows

FALSE_FLAGS = 0.05
BULK = 1.4826  # from the median deviation to the standard deviation of a normal
LEAST = 50  # images without which the bulk says nothing


@dataclass(frozen=True, eq=False)
class LabelAudit:
    """Images in the order of suspicion, the most suspect first, and the rule by which they are flagged.

    Of the N images audited (those whose identity has two or more), an image's score is its cosine to the
    nearest centre of another identity less that to the centre of its own other images. It is flagged where
    the score is above 0 (another identity is nearer) and among the highest ``false_flags`` * N. So at most
    that share of rightly labelled images can be flagged, whatever the model. ``expected`` is how many of the
    flagged the bulk of the scores (a normal by their median and median deviation) would hold by chance.

    place      [F] places of the flagged images
    score      [F] falling;  own, other [F] the two cosines
    nearest    [F] the other identity
    chance     [F] share of the bulk that scores as high, 0..1: smaller is more suspect
    audited    N; alone: images left out because their identity has no other
    """

    place: np.ndarray
    score: np.ndarray
    own: np.ndarray
    other: np.ndarray
    nearest: np.ndarray
    chance: np.ndarray
    false_flags: float
    expected: float
    audited: int
    alone: int


def audit_labels(
    features: np.ndarray,
    labels: np.ndarray,
    centres: np.ndarray,
    same_person: np.ndarray | None = None,
    false_flags: float = FALSE_FLAGS,
    progress: bool = True,
) -> LabelAudit:
    """Audit features [N, D] with labels [N] against centres [C, D] (``centres``).

    same_person  [P, 2] identities that seem to be one person: the one is not "another" for the other's
                 images, or every image of a person with two names would be suspect
    """
    own = own_scores(features, labels)
    places = np.flatnonzero(~np.isnan(own))
    other = np.full(len(labels), -2.0, np.float32)
    nearest = np.zeros(len(labels), np.int64)
    merged = _merged(same_person)
    absent = np.linalg.norm(centres, axis=1) == 0
    rows = max(1, min(BLOCK, (1 << 24) // max(len(centres), 1)))
    starts = range(0, len(places), rows)
    for start in tqdm(starts, desc="labels", unit=" blocks", disable=not progress, leave=False):
        block = places[start : start + rows]
        cosines = unit_rows(features[block]) @ centres.T
        cosines[:, absent] = -2.0
        cosines[np.arange(len(block)), labels[block]] = -2.0
        for row, label in enumerate(labels[block].tolist()):
            if label in merged:
                cosines[row, merged[label]] = -2.0
        nearest[block] = cosines.argmax(1)
        other[block] = cosines.max(1)
    score = other[places] - own[places]
    count = len(places)
    top = np.argsort(-score, kind="stable")[: int(false_flags * count)]
    top = top[score[top] > 0]
    flagged = places[top]
    chance = _chance(score, score[top])
    return LabelAudit(
        place=flagged,
        score=score[top],
        own=own[flagged],
        other=other[flagged],
        nearest=nearest[flagged],
        chance=chance,
        false_flags=false_flags,
        expected=float(chance[-1] * count) if len(chance) else 0.0,
        audited=count,
        alone=len(labels) - count,
    )


def _merged(pairs: np.ndarray | None) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for one, other in [] if pairs is None else pairs.tolist():
        found.setdefault(one, []).append(other)
        found.setdefault(other, []).append(one)
    return found


def _chance(scores: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """[F] upper tail of the normal that fits the bulk of ``scores``; 1 where they are too few to tell."""
    if len(scores) < LEAST:
        return np.ones(len(asked))
    middle = float(np.median(scores))
    spread = BULK * float(np.median(np.abs(scores - middle)))
    if not spread > 0:
        return np.ones(len(asked))
    tail: np.ndarray = ndtr(-(asked - middle) / spread)
    return tail
