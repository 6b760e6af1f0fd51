"""What a model's answers rest on, measured and kept in the model file: a threshold, and the decision."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from urface.data.source import FaceSource
from urface.decision import FACT, UNSURE_AT, fit_decision, unsure_above
from urface.embedder import Embedder
from urface.evaluation.embedding import TestFaces, embed_test_set
from urface.evaluation.judge import pair_scores
from urface.evaluation.protocol import PairProtocol
from urface.metrics.verification import tar_at_far
from urface.models.box import DEMONSTRATION
from urface.models.files import add_facts, load_model
from urface.scoring.score import Method
from urface.types import UserError


def calibrate(
    path: Path,
    scores: np.ndarray,
    same: np.ndarray,
    method: Method,
    *,
    data: str,
    false_match_rate: float = 0.01,
    unsure: tuple[float, str] = (math.inf, "not measured"),
) -> dict[str, Any]:
    """Find the threshold at which at most ``false_match_rate`` of the impostor pairs match; store it, and
    beside it the decision (urface.decision) that the same pairs bear out.

    data    what the pairs show, in a few words
    unsure  what ``unsure_limit`` found

    Raises UserError where the pairs are too few for the rate (the rule of 30), or where the file cannot be
    written. Scores that tell nobody apart give a threshold and no decision.
    """
    at = tar_at_far(scores, same, false_match_rate)
    if not at.supported or at.threshold is None or not np.isfinite(at.threshold):
        reason = at.reason or "every threshold that allows it accepts nothing at all"
        raise UserError(f"no threshold at a false-match rate of {false_match_rate:g}: {reason}")
    calibration = {
        "method": method,
        "false_match_rate": false_match_rate,
        "threshold": float(at.threshold),
        "impostor_pairs": at.far.trials,
        "false_matches": at.far.events,
        "true_match_rate": at.tar.to_dict(),
        "data": data,
    }
    card = load_model(path)[2].get("card")
    # A copy of the model in the box stays what it is, whatever it is calibrated on.
    shown = isinstance(card, dict) and card.get("name") == DEMONSTRATION
    try:
        decision = fit_decision(
            scores, same, method, data=data, unsure=unsure, demonstration=shown
        ).to_dict()
    except UserError:
        decision = None
    add_facts(path, {"calibration": calibration, FACT: decision})
    return calibration


def unsure_limit(
    embedder: Embedder,
    source: FaceSource,
    clean: TestFaces,
    protocol: PairProtocol,
    scores: np.ndarray,
    method: Method,
    *,
    seed: int = 0,
    progress: bool = True,
) -> tuple[float, str]:
    """The uncertainty above which no answer is given, and its rule (``unsure_above``).

    clean   the faces of ``source`` as they are, which ``protocol`` pairs
    scores  of those pairs

    Degraded faces are what makes a network unsure, so the genuine pairs are judged as they are and once more
    with one face of each degraded, at the threshold of a false-match rate of 1 % on clean faces.
    """
    at = tar_at_far(scores, protocol.same, UNSURE_AT)
    if at.threshold is None or not np.isfinite(at.threshold):
        return math.inf, "not measured"
    genuine = np.flatnonzero(protocol.same)
    pairs = PairProtocol(
        *(getattr(protocol, n)[genuine] for n in ("left", "right", "same", "fold"))
    )
    hard = embed_test_set(
        embedder, source, "degraded", needed=pairs.right, seed=seed, progress=progress
    )
    found = [scores[genuine], pair_scores(clean, hard, pairs, method)]
    largest = [pair_uncertainty(clean, other, pairs) for other in (clean, hard)]
    uncertainty = np.concatenate(largest)
    known = ~np.isnan(uncertainty)
    return unsure_above(
        np.concatenate(found)[known],
        uncertainty[known],
        float(at.threshold),
        np.asarray(clean.faces.uncertainty),
    )


def pair_uncertainty(left: TestFaces, right: TestFaces, protocol: PairProtocol) -> np.ndarray:
    """[P] the larger uncertainty of both faces, NaN where one could not be embedded."""
    sides = []
    for faces, places in ((left, protocol.left), (right, protocol.right)):
        rows = faces.at(places)
        values = np.append(np.asarray(faces.faces.uncertainty, np.float64), np.nan)
        sides.append(values[rows])  # -1 is the NaN at the end
    return np.maximum(*sides)
