"""SIGTERM and SIGINT ask for a checkpoint; the loop looks between two steps (reliability goal G7)."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAME = 2.0  # seconds in which signals are one request: a terminal and torchrun both send SIGINT
STOPPED = 143  # 128 + SIGTERM, what a shell says of a process that SIGTERM ended


class StopRequested(SystemExit):
    """Ends the process with 143, as one that SIGTERM ended; the message was printed before."""

    def __init__(self, message: str) -> None:
        print(message, flush=True)
        super().__init__(STOPPED)


@dataclass
class Termination:
    """Whether a signal has asked this process to stop."""

    requested: bool = False


_outermost: Termination | None = None


@contextmanager
def catch_termination(seconds: float = 30.0) -> Iterator[Termination]:
    """Inside the block a signal only sets a flag, and so do more: SLURM and torchrun both send one.

    A second Ctrl-C, ``SAME`` seconds later or more, acts as it always does. Where the block has not ended
    ``seconds`` after the first signal, the process ends with 143 as it is: a rank that hangs must not keep
    the machine. A block within another has that one's flag, so that a signal between two stages reaches the
    second.
    """
    global _outermost
    if _outermost is not None:
        yield _outermost
        return
    state = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield state  # Python lets only the main thread set handlers
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    late = threading.Timer(seconds, _end, [seconds])
    late.daemon = True

    since = 0.0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal since
        if not state.requested:  # set before the thread starts: another signal may come in here
            state.requested, since = True, time.monotonic()
            # A thread, for it must end a process whose main thread waits for another rank in C.
            late.start()
        elif number == signal.SIGINT and time.monotonic() - since > SAME:
            signal.signal(number, before[signal.SIGINT])
            os.kill(os.getpid(), number)

    _outermost = state
    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield state
    finally:
        _outermost = None
        late.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(seconds: float) -> None:
    print(
        f"not stopped {seconds:g} s after the signal: the last checkpoint is what there is",
        file=sys.stderr,
        flush=True,
    )
    os._exit(STOPPED)
