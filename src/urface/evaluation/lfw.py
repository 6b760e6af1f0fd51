"""`urface evaluate --lfw`: 10-fold accuracy, TAR at FAR, and LFW as a gallery to be searched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from urface.data.source import FaceSource
from urface.embedder import Embedder
from urface.evaluation.degrade import WHAT
from urface.evaluation.embedding import TestFaces, embed_test_set
from urface.evaluation.judge import Identification, Verification, identify, verify
from urface.evaluation.protocol import PairProtocol, SearchProtocol, lfw_pairs, search_protocol
from urface.metrics.intervals import Rate
from urface.scoring.score import Method


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What LFW says of a model under one condition; ``to_dict`` and ``to_markdown`` render it.

    tested, pairs  the embedded faces, and what was compared
    """

    condition: str
    method: str
    verification: Verification
    identification: Identification
    failures: dict[str, str]
    tested: TestFaces
    pairs: PairProtocol

    def to_dict(self) -> dict[str, Any]:
        return {
            "condition": self.condition,
            "method": self.method,
            "verification": self.verification.to_dict(),
            "identification": self.identification.to_dict(),
            "failures": self.failures,
        }

    def to_markdown(self) -> str:
        """A table of every rate in percent with its 95 % interval and counts."""
        lines = [
            f"LFW, {self.condition} faces, {self.method} score; 95 % intervals by Clopper-Pearson.",
        ]
        if self.condition == "degraded":
            lines.append(f"Degraded: {WHAT}. The gallery stays clean.")
        lines += ["", "| what | rate [95 % interval] (counts) |", "|---|---|"]
        lines += [f"| {name} | {rate.format()} |" for name, rate in self._rates()]
        if self.failures:
            lines.append(
                f"\n{len(self.failures)} images could not be embedded and count as failures."
            )
        return "\n".join(lines)

    def _rates(self) -> list[tuple[str, Rate]]:
        rows = [("10-fold accuracy", self.verification.accuracy.pooled)]
        rows += [(f"TAR at FAR <= {at.far_target:g}", at.tar) for at in self.verification.tar]
        rows += [(f"rank-{rank}", rate) for rank, rate in self.identification.closed.items()]
        rows += [(f"TPIR at FPIR <= {f:g}", at.tpir) for f, at in self.identification.open.items()]
        return rows


def lfw_search(faces: FaceSource, images: int = 1, reserved: int = 0) -> SearchProtocol:
    """People with two images or more are enrolled with the first; those with one are strangers.

    ``images`` and ``reserved`` as in ``search_protocol``.
    """
    return search_protocol(faces.labels, np.bincount(faces.labels) == 1, images, reserved)


def evaluate_lfw(
    embedder: Embedder,
    faces: FaceSource,
    pairs_file: Path,
    *,
    degraded: bool = False,
    method: Method = "likelihood",
    seed: int = 0,
    progress: bool = True,
) -> Evaluation:
    """Judge ``embedder`` on aligned LFW.

    With ``degraded`` both faces of a pair and all probes are degraded, the gallery is not. Raises
    UserError where pairs.txt is malformed or is of another data set.
    """
    pairs = lfw_pairs(pairs_file, faces)
    search = lfw_search(faces)

    def embedded(condition: str, needed: np.ndarray | None = None) -> TestFaces:
        return embed_test_set(
            embedder, faces, condition, needed=needed, seed=seed, progress=progress
        )

    condition = "degraded" if degraded else "clean"
    tested = embedded(condition)
    gallery = embedded("clean", search.gallery) if degraded else tested
    return Evaluation(
        condition,
        method,
        verify(tested, tested, pairs, method),
        identify(gallery, tested, faces.labels, search, method),
        {**gallery.failures, **tested.failures},
        tested,
        pairs,
    )
