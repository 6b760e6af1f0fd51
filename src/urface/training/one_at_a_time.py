"""One training at a time in a folder: two would write over each other's checkpoints."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from urface.atomic import make_folder
from urface.types import UserError


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold ``folder``, made where it is missing, while the block runs.

    Raises UserError at once where another process, or another block of this one, holds it. The system
    lets go of it however the process ends, so nothing is left to clean up after a kill. Some network
    file systems have no such locks: there nothing is held.
    """
    make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another training is running in it: wait for that to end, or choose "
                "another run.out"
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)
