"""An alert where the loss leaves what it was: more than 6 robust sigmas above its median (goal G9)."""

from __future__ import annotations

import json
import sys
from bisect import bisect_left, insort
from collections import deque
from pathlib import Path

import torch
from torch import Tensor

from urface import distributed
from urface.training.logs import cut_log

WINDOW, FEWEST, LIMIT = 500, 100, 6.0
TO_SIGMA = 1.349  # the interquartile range of a normal distribution, in sigmas


class SpikeDetector:
    """Tells of each loss whether it stands ``LIMIT`` robust sigmas above the last ``WINDOW``.

    Sigma is the interquartile range over 1.349, which a spike among the 500 cannot raise. Silent for the
    first ``FEWEST`` losses. Once above, it tells again only after the loss has come down.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._above = False

    def limit(self) -> float:
        """Above what a loss is a spike; infinite while too few are known."""
        count = len(self._sorted)
        if count < FEWEST:
            return float("inf")
        low, middle, high = (self._sorted[int(share * (count - 1))] for share in (0.25, 0.5, 0.75))
        # A loss that rests, as one of memorised data, is not judged by its rounding.
        sigma = max((high - low) / TO_SIGMA, 1e-3 * abs(middle), 1e-12)
        return middle + LIMIT * sigma

    def is_spike(self, loss: float) -> bool:
        """Whether ``loss``, finite or not, begins a spike; it then counts among the recent ones."""
        above = not loss <= self.limit()
        begins = above and not self._above
        self._above = above
        if loss == loss and abs(loss) != float("inf"):
            if len(self._recent) == WINDOW:
                old = self._recent.popleft()
                del self._sorted[bisect_left(self._sorted, old)]
            self._recent.append(loss)
            insort(self._sorted, loss)
        return begins


class SpikeWatch:
    """Looks at every step's loss, and writes alerts to alerts.jsonl and stderr; it stops nothing.

    Losses are kept where they are and fetched together by `look`, at the steps that are logged, so that
    a GPU is not waited for in between. A run that goes on after step ``first`` cuts off what is told of
    later ones; the losses before are not known to it, so it is blind for the first ``FEWEST``.
    """

    def __init__(self, folder: Path, stage: str, first: int = 0) -> None:
        self.count = 0
        self._stage = stage
        self._path = folder / "alerts.jsonl"
        self._detector = SpikeDetector()
        self._waiting: list[tuple[int, Tensor]] = []
        if distributed.rank() == 0 and self._path.is_file():
            cut_log(self._path, stage, first)

    def note(self, step: int, loss: Tensor) -> None:
        """The loss, a scalar, of ``step``. Rank 0 alone keeps its own: in stage one that is the same on
        all ranks, in stage two it is of rank 0's pairs alone, which spares an exchange a step.
        """
        if distributed.rank() == 0:
            self._waiting.append((step, loss.detach()))

    def look(self) -> int:
        """Judge what was noted since the last look; the number of alerts so far."""
        if not self._waiting:
            return self.count
        losses = torch.stack([loss for _, loss in self._waiting]).tolist()
        for (step, _), loss in zip(self._waiting, losses, strict=True):
            limit = self._detector.limit()
            if self._detector.is_spike(loss):
                self.count += 1
                self._tell(step, loss, limit)
        self._waiting.clear()
        return self.count

    def _tell(self, step: int, loss: float, limit: float) -> None:
        line = {"stage": self._stage, "step": step, "loss": loss, "limit": limit}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(
            f"alert: loss {loss:.4g} at step {step} of {self._stage} is above {limit:.4g}, "
            f"{LIMIT:g} robust sigmas over the last {WINDOW} steps",
            file=sys.stderr,
        )
