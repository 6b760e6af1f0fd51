"""What is done of an alignment: a line for each photo, which outlives a kill in the middle of a line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from urface.types import UserError

# Of a photo: what SCHEMA of urface.data.photo_table has, its faces in a list.
Done = dict[str, Any]


class Journal:
    """Opens the journal ``path``, or begins it: ``done`` holds what was finished, by photo.

    settings  what decides what a photo gives (plain JSON)

    Raises UserError where it belongs to a run with other settings.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self.done: dict[str, Done] = {}
        head = json.dumps(settings, sort_keys=True)
        whole = self._read(head)
        self._file = open(path, "r+b" if whole else "wb")  # noqa: SIM115 (closed by __exit__)
        if whole:
            self._file.truncate(whole)  # the line that a kill left unfinished
            self._file.seek(whole)
        else:
            self._line(head)

    def add(self, photo: Done) -> None:
        """A photo is finished, its crops written."""
        self._line(json.dumps(photo))
        self.done[photo["photo"]] = photo

    def remove(self) -> None:
        """Everything stands in the manifest."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _line(self, text: str) -> None:
        self._file.write(text.encode() + b"\n")
        self._file.flush()

    def _read(self, head: str) -> int:
        """Fill ``done``; how many bytes are whole lines, 0 where there is no journal yet."""
        if not self._path.is_file() or not os.path.getsize(self._path):
            return 0
        with open(self._path, "rb") as file:
            first = file.readline()
            if not first.endswith(b"\n"):  # killed in its first line
                return 0
            if first.decode(errors="replace").rstrip("\n") != head:
                raise UserError(
                    f"{self._path}: left by a run with another detector, --faces or output: run that again, "
                    "or delete it to begin anew"
                )
            whole = file.tell()
            for line in file:
                try:
                    photo = json.loads(line)
                    self.done[photo["photo"]] = photo
                except (ValueError, LookupError, TypeError):
                    break
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
        return whole
