"""Outcomes of rows that never were, with known advantages: what the evidence is tested on."""

from __future__ import annotations

import numpy as np

from urface.evaluation.outcomes import Outcomes, TestProtocol
from urface.evaluation.protocol import drawn_pairs, search_protocol
from urface.metrics.identification import SearchOutcomes
from urface.metrics.paired import SubjectDraws
from urface.reproduce.measured import Measured

PEOPLE, SHOTS = 160, 5
LABELS = np.repeat(np.arange(PEOPLE), SHOTS)
PROTOCOL = TestProtocol(
    LABELS,
    drawn_pairs(LABELS, folds=5, pairs=60),
    {
        "single": search_protocol(LABELS, np.arange(PEOPLE) >= 80, 1, 2),
        "several": search_protocol(LABELS, np.arange(PEOPLE) >= 80, 2),
    },
)


def outcomes(skill: float, seed: int, worse: float = 0.0, variance: float = -4.0) -> Outcomes:
    """``skill`` is how far genuine scores lie above impostor ones; ``worse`` goes of it where unsure."""
    random = np.random.default_rng(seed)
    trouble = random.random(len(LABELS))
    pairs = PROTOCOL.pairs
    troubled = np.maximum(trouble[pairs.left], trouble[pairs.right])
    scores = random.normal(pairs.same * (skill - worse * troubled), 1)
    searches = {}
    for name, protocol in PROTOCOL.searches.items():
        mated = np.arange(len(protocol.mated) + len(protocol.nonmated)) < len(protocol.mated)
        mate = np.where(mated, random.normal(skill + 1, 1, len(mated)), np.nan)
        other = random.normal(2, 0.5, len(mated))
        better = np.where(mated, np.maximum(0, np.ceil(3 * (other - mate))), 0)
        better = np.where(mated & (mate <= other), np.maximum(better, 1), better).astype(np.int64)
        searches[name] = SearchOutcomes(mated, mate, other, better)
    return Outcomes(scores, searches, variance + trouble, 30 - random.random(len(LABELS)))


def measured(
    skills: dict[str, float], seeds: int = 3, drop: float = 0.5, worse: float = 1.5
) -> Measured:
    """Rows of these skills, ``drop`` less in the degraded condition."""
    found = {
        (row, seed, condition): outcomes(
            skill - drop * (condition != "clean"),
            1000 * seed + 10 * place + len(condition),
            worse=worse,
            variance=-4.0 + (condition != "clean"),
        )
        for place, (row, skill) in enumerate(skills.items())
        for seed in range(seeds)
        for condition in ("clean", "degraded")
    }
    return Measured(PROTOCOL, found, seeds, SubjectDraws(PEOPLE, 300))
