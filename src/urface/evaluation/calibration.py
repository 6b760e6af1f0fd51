"""The threshold that `urface compare` judges by, measured and kept in the model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from urface.metrics.verification import tar_at_far
from urface.models.files import add_facts
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
) -> dict[str, Any]:
    """Find the threshold at which at most ``false_match_rate`` of the impostor pairs match; store it.

    ``data`` says in a few words what the pairs show. Raises UserError where they are too few for the
    rate (the rule of 30), or where the file cannot be written.
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
    add_facts(path, {"calibration": calibration})
    return calibration
