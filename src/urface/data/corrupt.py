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
    Each is a line of ``log``, where given, unless it stands there: key, file and byte, reason.
    """

    def __init__(self, source: FaceSource, share: float, log: Path | None = None) -> None:
        self.source, self.share, self.log = source, share, log
        self.found: dict[str, str] = {}
        self._in_file: dict[str, int] = {}
        self._judged: set[str] = set()  # files
        self._logged = _images_in(log) if log is not None else set()
        self._lock = threading.Lock()

    def add(self, place: int, error: DecodeError) -> None:
        """Note that the image at ``place`` is corrupt. Raises UserError when that is one too many."""
        key, where = self.source.keys[place], where_of(self.source.read_bytes, place)
        with self._lock:
            known = key in self.found
            self.found[key] = str(error)
            count, total = len(self.found), len(self.source)
            suspect = not known and self._count(where)
            write = not known and key not in self._logged
        if write:
            self._write(key, where, error)
        if count > max(1.0, self.share * total) or self.share == 0:
            raise UserError(
                f"{count} of {total} images of {self.source.name} cannot be decoded, more than the "
                f"{self.share:.2%} that data.corrupt_share allows; the last: {error}"
            ) from None
        if suspect and where is not None and not self._any_good(where[0]):
            raise UserError(
                f"{where[0]}: none of the images tried can be decoded: replace the file; the last: {error}"
            ) from None

    def known(self) -> dict[str, str]:
        """A copy of ``found``, which threads may add to."""
        with self._lock:
            return dict(self.found)

    def restore(self, known: dict[str, str]) -> None:
        """Count ``known``, what another rank or an earlier life met, as met; nothing is written."""
        with self._lock:
            new = known.keys() - self.found.keys()
            for place, key in enumerate(self.source.keys if new else []):
                if key in new:
                    self.found[key] = known[key]
                    self._count(where_of(self.source.read_bytes, place), False)

    def _count(self, where: tuple[str, int | None] | None, ask: bool = True) -> bool:
        """Count one more of its file; whether it is to be asked now if all of the file is corrupt."""
        if where is None or where[1] is None:
            return False
        file = where[0]
        self._in_file[file] = self._in_file.get(file, 0) + 1
        if not ask or self._in_file[file] < SUSPECT or file in self._judged:
            return False
        self._judged.add(file)
        return True

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


def _images_in(log: Path) -> set[str]:
    """The keys that ``log`` names; lines that a kill cut short are passed over."""
    found = set()
    for line in log.read_bytes().splitlines() if log.is_file() else []:
        try:
            found.add(str(json.loads(line.decode())["image"]))
        except (ValueError, TypeError, KeyError):
            continue
    return found
