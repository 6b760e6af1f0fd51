"""SIGTERM and SIGINT ask for a checkpoint; the loop looks between two steps (reliability goal G7)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequested(SystemExit):
    """Ends the process with 143, as one that SIGTERM ended; the message was printed before."""

    def __init__(self, message: str) -> None:
        print(message, flush=True)
        super().__init__(143)


@dataclass
class Termination:
    """Whether a signal has asked this process to stop."""

    requested: bool = False


@contextmanager
def catch_termination() -> Iterator[Termination]:
    """Inside the block a first signal only sets a flag; a second one acts as it always does."""
    state = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield state  # Python lets only the main thread set handlers
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        state.requested = True
        signal.signal(number, before[signal.Signals(number)])

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
