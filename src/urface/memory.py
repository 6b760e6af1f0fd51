"""Freed memory kept for the next step, instead of handed back to the system and asked for again.

torch allocates each activation anew. glibc gives large ones back as soon as they are freed, so that the
system maps and clears every page of them again in the next step. A training step without that takes 0.80
(`tiny`) and 0.87 (iresnet18) times the processor time (bench/memory.py).
"""

from __future__ import annotations

import ctypes
import sys

# Numbers from glibc's malloc.h, and what mallopt(3) says of them.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
LARGEST_THRESHOLD = 32 << 20  # glibc takes no higher one
NEVER = 2**31 - 1


def keep_freed_memory(large_too: bool = False) -> None:
    """Let this whole process keep what it frees, for its own next allocation.

    Blocks of 32 MiB and more still come from the system and go back to it, unless ``large_too``: what
    training steps free is wanted again at once, what a service frees may never be. Nothing happens where
    the C library is not glibc. For a process of our own; a library leaves its caller's as it is.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(TRIM_THRESHOLD, NEVER)
    mallopt(MMAP_THRESHOLD, LARGEST_THRESHOLD)
    if large_too:
        mallopt(MMAP_MAX, 0)
