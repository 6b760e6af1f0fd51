"""Damaged copies of a file, for the claim that readers end with typed errors only, soon and small."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from urface.types import UserError

NUMBERS = (0, 1, 127, 128, 255, 1 << 15, 1 << 24, (1 << 29) - 1, 1 << 29, (1 << 31) - 1, 1 << 31)
SLOWEST = 5.0  # seconds for one file on a busy machine; a hang is what this catches
ROOM = 1 << 29  # bytes that reading damaged files may take on top of what the process has


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """``data`` with one to four of: a flipped bit, a changed byte, a cut, a splice, a telling number."""
    out = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        if not out:
            break
        place = int(random.integers(len(out)))
        # Half of the damage where headers are dense: the beginning and the end.
        if random.random() < 0.5:
            place = place % 256 if random.random() < 0.5 else max(0, len(out) - 1 - place % 256)
            place %= len(out)
        kind = int(random.integers(7))
        if kind == 0:
            out[place] ^= 1 << int(random.integers(8))
        elif kind == 1:
            out[place] = int(random.integers(256))
        elif kind == 2:
            del out[place:]
        elif kind == 3:
            del out[place : place + int(random.integers(1, 64))]
        elif kind == 4:
            start = int(random.integers(len(out)))
            out[place:place] = out[start : start + int(random.integers(1, 64))]
        else:
            number = int(random.choice(NUMBERS))
            width = int(random.choice([1, 2, 4, 8]))
            out[place : place + width] = (number % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(out)


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Within, an allocation that takes the process 512 MB beyond what it has raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refused(
    count: int, seed: int, seeds: list[bytes], read: Callable[[bytes], object]
) -> tuple[int, float]:
    """Read ``count`` mutations of ``seeds``: how many were refused, and the seconds of the slowest.

    Anything but UserError goes on to the test.
    """
    random = np.random.default_rng(seed)
    errors, slowest = 0, 0.0
    with bounded_memory():
        for number in range(count):
            data = mutate(seeds[number % len(seeds)], random)
            start = time.perf_counter()
            try:
                read(data)
            except UserError:
                errors += 1
            slowest = max(slowest, time.perf_counter() - start)
    return errors, slowest
