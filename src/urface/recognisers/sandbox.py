"""What a process of its own is held to, that reads a file we do not trust.

Walls, not the lock: what keeps code from running is how the file is read. These limit what a flaw in that
reader, or a file that asks for too much, could do.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

import urface

LOOK_EVERY = 0.5  # seconds
MIB = 1 << 20
# What no reader of weights does: Python says so before it happens, and an exception here prevents it.
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.kill",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.chmod",
    "os.link",
    "os.symlink",
    "os.putenv",
    "subprocess.Popen",
    "pty.spawn",
    "shutil.",
    "socket.",
    "urllib.Request",
    "pickle.find_class",
    "ctypes.dlopen",
    "webbrowser.open",
)


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs ``module`` of ours in this Python, with nothing of the working folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


def surroundings() -> dict[str, str]:
    """The environment of such a process: what Python needs to find urface, and no secret."""
    kept = ("PATH", "LD_LIBRARY_PATH", "LANG", "OMP_NUM_THREADS", "VIRTUAL_ENV", "TMPDIR")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return found | {"PYTHONPATH": str(Path(urface.__file__).parents[1])}


def die_with_parent(parent: int) -> None:
    """End this process when the one with the number ``parent``, which started it, ends.

    A thread looks, since Linux's own signal comes when the thread that started us ends, not the process.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def limit(memory: int, written: int, seconds: int = 0) -> None:
    """Hold this process to ``memory`` bytes beyond what it has, files of ``written`` bytes, CPU ``seconds``.

    No seconds means no limit of time. The hard limits are set: it cannot raise them again.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, written)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
    if seconds:
        _lower(resource.RLIMIT_CPU, seconds)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (wanted, wanted))


def forbid(writable: Path | None = None) -> None:
    """From now on starting processes, opening sockets, plain unpickling and writing files raise here.

    Only ``writable`` may be written. It cannot be undone in this process.
    """
    allowed = None if writable is None else str(writable)

    def watch(event: str, details: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            raise PermissionError(f"{event} is not allowed while a file is read")
        if event == "open" and _writes(details) and details[0] not in (allowed, os.devnull):
            raise PermissionError("writing a file is not allowed while another is read")

    sys.addaudithook(watch)


def _writes(details: tuple[Any, ...]) -> bool:
    _, mode, flags = (*details, None, None)[:3]
    if isinstance(mode, str) and set(mode) & set("wax+"):
        return True
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def one_line(text: object) -> str:
    """A message of such a process, which a file may have had a hand in, as one printable line."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "?" for c in line)[:300]
