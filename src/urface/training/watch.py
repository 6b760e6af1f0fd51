"""Whether a step was finite, and whether to stop: the same answers on every rank (reliability goal G8).

On a CPU the answer is there at once, before the update. On a GPU to read it would make the processor wait
for all that the device has still to do. There a fused optimiser reads the flag where it is and leaves out
the update by itself; the processor reads a copy a step later, and stops then.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from urface import distributed
from urface.training.step import Found
from urface.types import FaceBatch


@dataclass(frozen=True, eq=False)
class Asked:
    """A step whose flags have not been read yet; ``flags`` [3] are on the host once ``copied`` is done."""

    step: int
    rate: float
    found: Found
    norm: Tensor
    images: Tensor
    batch: FaceBatch
    flags: Tensor
    copied: torch.cuda.Event | None

    def read(self) -> list[bool]:
        """Whether something is not finite, whether a rank was asked to stop, whether one lacks data."""
        if self.copied is not None:
            self.copied.synchronize()
        return [flag > 0 for flag in self.flags.tolist()]


class Watch:
    """Asks each step, and gives back those whose answer may be read.

    ``late`` leaves the newest step unread, so that the device is a step ahead of the processor.
    """

    def __init__(self, late: bool) -> None:
        self.late = late
        self._pending: deque[Asked] = deque()

    def ask(
        self,
        step: int,
        rate: float,
        found: Found,
        norm: Tensor,
        images: Tensor,
        batch: FaceBatch,
        stop: bool,
        failed: bool = False,
    ) -> Tensor | None:
        """Note a step and the ``images`` that it saw; ``failed``: this rank cannot make a coming batch.

        Returns the flag by which a fused optimiser skips the step (1: skip), None if not late.
        """
        broken = (~torch.isfinite(found.total + norm)).float()
        # full, not tensor: that would copy a number from the host, which waits.
        asked = [torch.full_like(broken, float(flag)) for flag in (stop, failed)]
        flags = torch.stack((broken, *asked))
        distributed.all_reduce_max(flags)
        copied = None
        held = flags
        if self.late and flags.device.type == "cuda":
            held = torch.empty(3, pin_memory=True).copy_(flags, non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        self._pending.append(Asked(step, rate, found, norm, images, batch, held, copied))
        return flags[0] if self.late else None

    def read(self, everything: bool) -> tuple[Asked | None, bool, bool]:
        """The first step that was not finite, if any, and whether a rank was asked to stop, or lacks data.

        Where answers come late the newest step is left for the next call, unless ``everything`` is to be
        known, as before something is written, or the run is about to stop.
        """
        stop = failed = False
        while len(self._pending) > (1 if self.late and not everything and not stop else 0):
            asked = self._pending.popleft()
            broken, signalled, lacking = asked.read()
            if broken:
                return asked, stop, failed
            stop |= signalled
            failed |= lacking
        return None, stop, failed


def reads_late(optimizer: torch.optim.Optimizer, device: torch.device) -> bool:
    """Whether the loop may run ahead: on a GPU, with an optimiser that skips a bad step by itself."""
    return device.type == "cuda" and bool(optimizer.defaults.get("fused"))
