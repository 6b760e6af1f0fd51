"""Which features can be compared at all: the others are failures to acquire, never scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from urface.recognisers.recogniser import Features
from urface.types import UserError

NOT_FINITE = "the model gives no finite feature of it"
NO_DIRECTION = "its feature has no direction: a part of it has length 0"
NO_VARIANCE = "the model gives it a variance or confidence that is not finite and above 0"


def unusable(features: Features) -> dict[int, str]:
    """Row -> why it cannot be compared, in the order of the rows: it is not finite, a part of it has
    length 0, or its variance or confidence is no number above 0."""
    count = len(features)
    if not count:
        return {}
    vectors = features.vectors.reshape(count, features.parts, -1)
    squares = np.einsum("nkd,nkd->nk", vectors, vectors, dtype=np.float64)
    finite = np.isfinite(squares).all(1)
    pointing = (squares > 0).all(1)
    sure = np.ones(count, bool)
    for values in (features.confidence, features.variance):
        if values is not None:
            flat = values.reshape(count, -1)
            sure &= (np.isfinite(flat) & (flat > 0)).all(1)
    found = {}
    for row in np.flatnonzero(~(finite & pointing & sure)).tolist():
        found[row] = (
            NOT_FINITE if not finite[row] else NO_DIRECTION if not pointing[row] else NO_VARIANCE
        )
    return found


def refuse_unusable(features: Features, keys: Sequence[str]) -> Features:
    """``features``, all of which can be compared. Raises UserError with the key of the first that cannot."""
    for row, reason in unusable(features).items():
        raise UserError(f"{keys[row] if row < len(keys) else f'image {row}'}: {reason}")
    return features
