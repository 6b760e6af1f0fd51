"""What tells, without reading it, that a file was replaced, changed or removed."""

from __future__ import annotations

import os
from pathlib import Path


def file_stamp(path: str | Path) -> bytes:
    """The size and the time of the last change (ns) of a file; no byte where there is none."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):  # ValueError: no name of a file
        return b""
    return b"%d %d" % (facts.st_size, facts.st_mtime_ns)
