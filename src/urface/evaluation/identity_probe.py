"""How much identity is left in features: a fresh linear classifier, trained on some of the images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from urface.metrics.bootstrap import rate_by_subject
from urface.metrics.intervals import Rate, withheld

ITERATIONS = 60
PENALTY = 1e-3  # of the squared weights, on features of unit variance; set beforehand, not chosen


@dataclass(frozen=True, eq=False)
class IdentityProbe:
    """accuracy of naming the person of a test image, by subject; ``chance`` of a blind guess.

    people, trained, tested  how many people, images trained on and images tested on
    correct, subjects        [tested] bool, and the person of each, in the order given
    """

    accuracy: Rate
    chance: float
    people: int
    trained: int
    tested: int
    correct: np.ndarray
    subjects: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON values."""
        values = asdict(self)
        del values["correct"], values["subjects"]
        return values


def identity_probe(
    train: np.ndarray,
    train_people: np.ndarray,
    test: np.ndarray,
    test_people: np.ndarray,
    seed: int = 0,
) -> IdentityProbe:
    """Train a linear classifier on ``train`` [N, F] and name the people of ``test`` [M, F].

    The people are any labels; those of the test must occur in training. Features are brought to mean 0
    and variance 1 over the training images, so that neither their scale nor a shift can hide anything;
    softmax regression with a small quadratic penalty, by L-BFGS from 0: nothing in it is drawn.
    """
    names, labels = np.unique(train_people, return_inverse=True)
    counts = len(names), len(train), len(test)
    if len(names) < 2:
        none = withheld("fewer than 2 people have enough images", len(test))
        return IdentityProbe(none, 1.0, *counts, np.zeros(len(test), bool), test_people)
    mean, scale = train.mean(0), train.std(0)
    scale[scale < 1e-6 * max(1e-12, float(scale.max()))] = np.inf  # a dead feature says nothing
    inputs, others = ((part - mean) / scale for part in (train, test))
    weight = _softmax_regression(torch.from_numpy(inputs).float(), torch.from_numpy(labels))
    with torch.inference_mode():
        logits = F.linear(torch.from_numpy(others).float(), weight[:, :-1], weight[:, -1])
    correct = names[logits.argmax(1).numpy()] == test_people
    accuracy = rate_by_subject(correct, test_people, seed=seed)
    return IdentityProbe(accuracy, 1 / len(names), *counts, correct, test_people)


def _softmax_regression(inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """[N people, F + 1] weights, the bias last."""
    people = int(labels.max()) + 1
    weight = torch.zeros(people, inputs.shape[1] + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = F.linear(inputs, weight[:, :-1], weight[:, -1])
        loss = F.cross_entropy(logits, labels) + PENALTY * weight[:, :-1].square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach()
