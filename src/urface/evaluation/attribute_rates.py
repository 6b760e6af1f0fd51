"""How well attributes are read from people who were not trained on, beside the commonest answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from urface.metrics.bootstrap import (
    PairedDifference,
    auc_by_subject,
    paired_bootstrap_difference,
    rate_by_subject,
)
from urface.metrics.curves import Auc
from urface.metrics.intervals import Rate, withheld
from urface.types import UserError


@dataclass(frozen=True)
class AttributeRates:
    """One attribute, on the images where it is known; intervals by subject.

    accuracy   share judged right at a probability of 0.5
    majority   share that the answer commonest in training gets right
    gain       accuracy less majority; None where it cannot be judged
    auc        None where all images are of one kind
    people     of how many the images are
    """

    name: str
    accuracy: Rate
    majority: Rate
    gain: PairedDifference | None
    auc: Auc | None
    people: int

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def attribute_rates(
    name: str,
    probabilities: np.ndarray,
    labels: np.ndarray,
    people: np.ndarray,
    commonest: bool,
    seed: int = 0,
) -> AttributeRates:
    """Judge ``probabilities`` [N] against ``labels`` [N] in 0..1, NaN where not known; people [N].

    A soft label counts as what it is nearer to, true at 0.5. ``commonest`` is the answer commonest in
    training. A probability of NaN (an image that cannot be decoded) is wrong in the accuracy, counted in
    its failures, and left out of the area.
    """
    known = ~np.isnan(labels)
    probabilities, truth, people = probabilities[known], labels[known] >= 0.5, people[known]
    failed = np.isnan(probabilities)
    correct = ((probabilities >= 0.5) == truth) & ~failed
    common = truth == commonest
    count = len(np.unique(people))
    if count < 2:
        none = withheld(f"known for {count} people, at least 2 are needed", len(truth))
        return AttributeRates(name, none, none, None, None, count)
    try:
        scored = ~failed
        auc = auc_by_subject(probabilities[scored], truth[scored], people[scored], seed=seed)
    except UserError:  # all of one kind: there is nothing to tell apart
        auc = None
    return AttributeRates(
        name=name,
        accuracy=rate_by_subject(correct, people, seed=seed, failures=int(failed.sum())),
        majority=rate_by_subject(common, people, seed=seed),
        gain=paired_bootstrap_difference(correct, common, people, seed),
        auc=auc,
        people=count,
    )
