"""Whether a history of concurrent operations on one person could have happened one after another.

The search of Wing and Gong ("Testing and verifying concurrent objects", 1993), with what was tried already
remembered: of the operations that began before any of the rest had ended, one must come next.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """kind: enrol, remove, gone (a removal that found nobody), seen, unseen; times of asking and answer."""

    kind: str
    asked: float
    answered: float


def after(kind: str, there: bool) -> bool | None:
    """Whether the person is there after an operation; None where it could not have answered so."""
    if kind == "enrol":
        return True
    if kind in ("gone", "unseen"):
        return None if there else False
    if kind == "seen":
        return True if there else None
    assert kind == "remove"
    return False if there else None


def linearizable(history: list[Operation]) -> bool:
    """Whether ``history`` of one person, who was not there at first, has an order that explains it."""
    operations = sorted(history, key=lambda operation: operation.asked)
    tried: set[tuple[frozenset[int], bool]] = set()
    stack: list[tuple[frozenset[int], bool]] = [(frozenset(range(len(operations))), False)]
    while stack:
        left, there = stack.pop()
        if not left:
            return True
        if (left, there) in tried:
            continue
        tried.add((left, there))
        first_end = min(operations[place].answered for place in left)
        for place in left:
            if operations[place].asked <= first_end:
                then = after(operations[place].kind, there)
                if then is not None:
                    stack.append((left - {place}, then))
    return False
