"""One call of os after another fails: every way in which a disk can refuse a write."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CALLS = ("open", "write", "fsync", "rename", "replace", "mkdir")
CODES = (errno.ENOSPC, errno.EIO, errno.EACCES)


class Faults:
    """In its block the ``fail_at``-th (from 0) of CALLS raises OSError ``code``; None fails at none.

    A write that fails has first taken half of its bytes, as a disk that gets full does.
    """

    def __init__(self, fail_at: int | None, code: int = errno.EIO) -> None:
        self.calls = 0
        self.failed = False
        self._fail_at = fail_at
        self._code = code
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Faults:
        for name in CALLS:
            self._patch.setattr(os, name, self._faulty(name, getattr(os, name)))
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def _faulty(self, name: str, plain: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            number = self.calls
            self.calls += 1
            if number != self._fail_at:
                return plain(*arguments, **keywords)
            self.failed = True
            if name == "write":
                data = memoryview(arguments[1])  # type: ignore[arg-type]
                plain(arguments[0], data[: len(data) // 2])
                raise OSError(self._code, os.strerror(self._code))
            named = arguments[0] if isinstance(arguments[0], (str, Path)) else None
            raise OSError(self._code, os.strerror(self._code), named)

        return call


def every_fault(work: Callable[[], object]) -> Iterator[tuple[Faults, Exception | None]]:
    """``work`` once for each of its calls and each code, and what it raised; it is repeatable."""
    with Faults(None) as counted:
        work()
    for fail_at in range(counted.calls):
        for code in CODES:
            raised: Exception | None = None
            with Faults(fail_at, code) as faults:
                try:
                    work()
                except Exception as error:
                    raised = error
            if faults.failed:
                yield faults, raised
