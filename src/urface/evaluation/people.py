"""`urface evaluate --people`: any identified faces as a test, where no list of pairs comes with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.data.source import FaceSource
from urface.embedder import Embedder
from urface.evaluation.calibration import unsure_limit
from urface.evaluation.embedding import TestFaces, embed_test_set
from urface.evaluation.judge import Verification, pair_scores, verify
from urface.evaluation.protocol import PairProtocol, drawn_pairs, many_pairs
from urface.metrics.intervals import Rate
from urface.scoring.score import Method

BLOCK = 1 << 15


@dataclass(frozen=True, eq=False)
class PeopleEvaluation:
    """Accuracy over 6,000 drawn pairs in ten folds of people; and many more pairs, for thresholds.

    scores [P]  of ``pairs``, NaN where an image could not be embedded
    """

    method: Method
    people: int
    images: int
    verification: Verification
    pairs: PairProtocol
    scores: np.ndarray
    tested: TestFaces

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "method": self.method,
            "people": self.people,
            "images": self.images,
            "verification": self.verification.to_dict(),
            "genuine_pairs": int(self.pairs.same.sum()),
            "impostor_pairs": int((~self.pairs.same).sum()),
            "failures": self.tested.failures,
        }

    def to_markdown(self) -> str:
        """A table of every rate in percent with its 95 % interval and counts."""
        rows: list[tuple[str, Rate]] = [("10-fold accuracy", self.verification.accuracy.pooled)]
        rows += [(f"TAR at FAR <= {at.far_target:g}", at.tar) for at in self.verification.tar]
        lines = [
            f"{self.people} people with {self.images} images, {self.method} score; 95 % intervals by "
            "Clopper-Pearson.",
            "",
            "| what | rate [95 % interval] (counts) |",
            "|---|---|",
            *(f"| {name} | {rate.format()} |" for name, rate in rows),
        ]
        return "\n".join(lines)


def evaluate_people(
    embedder: Embedder,
    source: FaceSource,
    *,
    method: Method = "likelihood",
    seed: int = 0,
    progress: bool = True,
) -> PeopleEvaluation:
    """Judge ``embedder`` on the people of ``source``. Raises UserError where they are too few."""
    listed = drawn_pairs(source.labels, seed=seed)  # first: too few people should cost no embedding
    tested = embed_test_set(embedder, source, "clean", seed=seed, progress=progress)
    many = many_pairs(source.labels, seed=seed)
    return PeopleEvaluation(
        method,
        len(source.identities),
        len(source),
        verify(tested, tested, listed, method),
        many,
        _in_blocks(tested, many, method),
        tested,
    )


def _in_blocks(tested: TestFaces, pairs: PairProtocol, method: Method) -> np.ndarray:
    """``pair_scores`` of 32,768 pairs at a time: two embeddings a pair would fill the memory."""
    fields = ("left", "right", "same", "fold")
    found = [
        pair_scores(
            tested,
            tested,
            PairProtocol(*(getattr(pairs, name)[i : i + BLOCK] for name in fields)),
            method,
        )
        for i in range(0, len(pairs.same), BLOCK)
    ]
    return np.concatenate(found)


def limit_of(
    judged: PeopleEvaluation, embedder: Embedder, source: FaceSource, seed: int = 0
) -> tuple[float, str]:
    """``unsure_limit`` of the drawn pairs."""
    return unsure_limit(
        embedder, source, judged.tested, judged.pairs, judged.scores, judged.method, seed=seed
    )
