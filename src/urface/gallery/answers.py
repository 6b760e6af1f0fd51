"""What a gallery answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np

from urface.types import FaceEmbedding

if TYPE_CHECKING:
    from urface.decision import Decision


@dataclass(frozen=True)
class EnrolledPerson:
    """A person as ``Gallery.enrol`` leaves it and ``Gallery.people`` lists it.

    person   the name given
    number   what the audit log calls the person; never given to another one
    images   how many images the template is made of now
    added    how many of those are new by this call; an image that was there already adds nothing
    expires  when the consent ends, in UTC; from then on the person is never returned
    """

    person: str
    number: int
    images: int
    added: int
    expires: datetime


@dataclass(frozen=True)
class Match:
    """score  of the method asked for, larger is more alike. probability  that both are one person, 0..1, by
    the model's calibration; None where it has none for this method."""

    person: str
    score: float
    probability: float | None


@dataclass(frozen=True)
class Identification:
    """The answer of an open-set search for one probe.

    verdict      known: ``person`` is the best match, at or above the threshold; unknown: nobody is;
                 unsure: the probe's uncertainty is too large to say
    person       None unless known
    score        of the best match, None where nobody is enrolled
    probability  of the best match (as in ``Match``)
    threshold    the score from which a match counts
    uncertainty  of the probe, mean log variance; larger is less sure
    """

    verdict: Literal["known", "unknown", "unsure"]
    person: str | None
    score: float | None
    probability: float | None
    threshold: float
    uncertainty: float


@dataclass(frozen=True)
class PersonTemplate:
    """One person's template and what it was made of.

    faces    the fused template, B = 1
    images   identifiers of its n images, for ``Gallery.remove_images``
    weights  [n, K] share of each image in each sub-embedding (1 / variance, summing to 1 over images)
    """

    faces: FaceEmbedding
    images: list[str]
    weights: np.ndarray


def probability(rule: Decision | None, score: float, method: str) -> float | None:
    """That a score is one person's, by ``rule``; None where it says nothing of this ``method``."""
    if rule is None or rule.method != method or not rule.has_probability:
        return None
    return float(rule.probability(score))
