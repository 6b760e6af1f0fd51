"""Images that cannot be decoded: named, counted, written down, and when they are too many (goal G11)."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import numpy as np

from urface.data.decode import DecodeError
from urface.data.source import FaceSource
from urface.data.storage import where_of
from urface.types import UserError

SUSPECT = 16  # corrupt images of one file after which it is asked whether all of it is
PROBES = 32  # further images of that file which are tried


class CorruptImages:
    """The corrupt images of ``source`` met so far; ``found``: key -> reason. Safe from threads.

    More than ``share`` of all images, or one tar or .rec of which nothing can be read, raise UserError. One
    image is forgiven whatever the share, unless it is 0: 0.1 % of a small set would be none at all.
    Each is a line of ``log``, where given: key, file and byte, reason.
    """

    def __init__(self, source: FaceSource, share: float, log: Path | None = None) -> None:
        self.source, self.share, self.log = source, share, log
        self.found: dict[str, str] = {}
        self._in_file: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, place: int, error: DecodeError) -> None:
        """Note that the image at ``place`` is corrupt. Raises UserError when that is one too many."""
        key, where = self.source.keys[place], where_of(self.source.read_bytes, place)
        with self._lock:
            known = key in self.found
            self.found[key] = str(error)
            count, total = len(self.found), len(self.source)
            in_file = 0
            if where is not None and where[1] is not None and not known:
                in_file = self._in_file[where[0]] = self._in_file.get(where[0], 0) + 1
        if not known:
            self._write(key, where, error)
        if count > max(1.0, self.share * total) or self.share == 0:
            raise UserError(
                f"{count} of {total} images of {self.source.name} cannot be decoded, more than the "
                f"{self.share:.2%} that data.corrupt_share allows; the last: {error}"
            ) from None
        if where is not None and in_file == SUSPECT and not self._any_good(where[0]):
            raise UserError(
                f"{where[0]}: none of the images tried can be decoded: replace the file; the last: {error}"
            ) from None

    def _any_good(self, file: str) -> bool:
        """Whether any of ``PROBES`` images of ``file``, picked by a fixed order, can be decoded."""
        tried = 0
        for place in np.random.default_rng(0).permutation(len(self.source)).tolist():
            where = where_of(self.source.read_bytes, place)
            if where is None or where[0] != file or self.source.keys[place] in self.found:
                continue
            try:
                self.source.image(place)
            except DecodeError:
                tried += 1
            else:
                return True
            if tried == PROBES:
                break
        return False

    def _write(self, key: str, where: tuple[str, int | None] | None, error: DecodeError) -> None:
        if self.log is None:
            return
        file, byte = where or (self.source.name, None)
        line = json.dumps({"image": key, "file": file, "byte": byte, "reason": str(error)}) + "\n"
        try:
            # One write at the end of the file: the lines of several ranks do not mix.
            descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as problem:  # training is worth more than its notes
            print(f"{self.log}: cannot be written ({problem.strerror})", file=sys.stderr)
