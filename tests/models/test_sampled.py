"""Which classes are drawn in a step: a pure function of seed, step and class."""

from __future__ import annotations

import pytest
import torch

from urface import distributed
from urface.models.prototypes import Prototypes, hashed

CLASSES = 5000


def drawn(
    monkeypatch: pytest.MonkeyPatch, world: int, step: int, labels: torch.Tensor
) -> list[int]:
    """The classes that all ranks together draw."""
    found: list[int] = []
    monkeypatch.setattr(distributed, "world_size", lambda: world)
    for rank in range(world):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        prototypes = Prototypes(CLASSES, 1, 2, seed=3)
        rows = prototypes.sampled(labels, 0.1, step)
        assert rows is not None
        assert rows.tolist() == sorted(set(rows.tolist()))
        found += (rows + prototypes.first_class).tolist()
    return found


def test_any_number_of_ranks_draws_the_same_and_keeps_all_own_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = torch.tensor([0, 17, 2500, 4999, 17])
    one = drawn(monkeypatch, 1, 7, labels)
    assert set(labels.tolist()) <= set(one)
    assert drawn(monkeypatch, 2, 7, labels) == one
    assert drawn(monkeypatch, 4, 7, labels) == one
    assert drawn(monkeypatch, 1, 8, labels) != one


def test_the_share_is_met_and_steps_are_independent_of_each_other() -> None:
    classes = torch.arange(200_000)
    first, second, other = (hashed(classes, s, t) < 0.1 for s, t in ((0, 0), (0, 1), (1, 0)))
    for found in (first, second, other):
        assert float(found.double().mean()) == pytest.approx(0.1, abs=4 * 0.0007)
        halves = found.view(2, -1).double().mean(1)
        assert float((halves[0] - halves[1]).abs()) < 4 * 0.0014
    for a, b in ((first, second), (first, other), (first[:-1], first[1:])):
        assert float((a & b).double().mean()) == pytest.approx(0.01, abs=4 * 0.00023)


def test_a_share_of_one_takes_all() -> None:
    assert Prototypes(9, 1, 2).sampled(torch.tensor([1]), 1.0, 0) is None
