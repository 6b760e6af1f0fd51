"""Which steps there are to do: all, but for those whose batch a rollback leaves out (goal G8)."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from urface import distributed
from urface.atomic import write_atomic
from urface.types import UserError

FILE = "skipped_steps.json"
MOST = 10  # rollbacks of a run; one that needs more has another fault than a batch


@dataclass(frozen=True)
class Plan:
    """The steps of a stage from ``first`` to ``total``, without ``skipped`` (rising)."""

    first: int
    total: int
    skipped: tuple[int, ...] = ()

    @property
    def steps(self) -> Sequence[int]:
        every = range(self.first, self.total)
        left_out = set(self.skipped)
        return [step for step in every if step not in left_out] if left_out else every

    @property
    def end(self) -> int:
        """The number of steps that are done after the last."""
        return self.steps[-1] + 1 if self.steps else self.first

    def updates(self, step: int) -> int:
        """How many updates came before ``step``: what the schedule counts, so that it waits at a skip."""
        return step - bisect_left(self.skipped, step)


def planned(folder: Path, stage: str, first: int, total: int) -> Plan:
    """The plan of a run in ``folder`` that goes on with ``first``; every rank calls this."""
    known = distributed.on_first(lambda: _read(folder).get(stage, []))
    return Plan(first, total, tuple(sorted(known)))


def leave_out(folder: Path, stage: str, step: int) -> bool:
    """Write down that ``step`` is to be skipped. False, and nothing written, where there are too many.

    Every rank calls this; rank 0 alone reads and writes, so that all have one answer.
    """

    def write() -> bool:
        known = _read(folder)
        if sum(map(len, known.values())) >= MOST:
            return False
        known.setdefault(stage, []).append(step)
        write_atomic(folder / FILE, json.dumps(known))
        return True

    return distributed.on_first(write)


def _read(folder: Path) -> dict[str, list[int]]:
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(stage): [int(step) for step in steps] for stage, steps in found.items()}
    except (ValueError, TypeError, AttributeError):
        raise UserError(
            f"{path}: is not the list of skipped steps that was written: delete it to try all again"
        ) from None
