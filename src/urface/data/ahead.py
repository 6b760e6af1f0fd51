"""Work done ahead of who needs it: by threads, in order, bounded, its errors handed on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")

SPARE = 2  # results that lie ready beside those in the making
MOST = 8  # what Python does between OpenCV's calls holds its lock: more threads only wait for it


def worker_count(asked: int) -> int:
    """``asked`` threads; for -1 this rank's share of the cores less the one that drives the step, 1 to 8."""
    if asked >= 0:
        return asked
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(MOST, max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))


def made_ahead(
    make: Callable[[int], Made],
    steps: Iterable[int],
    workers: int,
    ending: Callable[[], None] = lambda: None,
) -> Iterator[Made]:
    """``make(step)`` for each of ``steps``, in their order, by ``workers`` threads (0: by the caller).

    At most ``workers + SPARE`` results exist or are in the making. An error of ``make`` is raised where its
    result would have come; those before it are yielded first. Left or closed half way, it waits for what
    is running and drops the rest, so that no thread outlives it. ``ending`` is called before that wait.
    """
    if workers == 0:
        try:
            yield from map(make, steps)
        finally:
            ending()
        return
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers, "data") as pool:
        try:
            for step in steps:
                pending.append(pool.submit(make, step))
                if len(pending) >= workers + SPARE:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            ending()
