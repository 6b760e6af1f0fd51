"""Write images into one plain tar or into numbered ones; the same images make the same bytes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from urface.atomic import atomic_path
from urface.types import UserError

BLOCK = tarfile.BLOCKSIZE


class Member(NamedTuple):
    """A file of a tar, and with it further ones that belong into the same shard."""

    name: str
    data: bytes
    beside: tuple[tuple[str, bytes], ...] = ()


class TarWriter:
    """Tars of at most ``limit`` bytes, as far as one image fits, at the ``paths`` as they are needed.

    Use as a context: at its end all appear, or, after an error, none.
    """

    def __init__(self, paths: Iterable[Path], limit: int | None) -> None:
        self.paths: Iterator[Path] = iter(paths)
        self.limit = limit
        self.written: list[Path] = []
        self._stack = ExitStack()
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> TarWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def full_with(self, member: Member) -> bool:
        """Whether ``member`` belongs into a next tar."""
        if self._tar is None:
            return True
        size = sum(
            2 * BLOCK + len(data) for data in (member.data, *(more for _, more in member.beside))
        )
        return self.limit is not None and self._tar.offset + size > self.limit > 0

    def next_tar(self) -> None:
        """Begin the next tar."""
        if self._tar is not None:
            self._tar.close()
        path = next(self.paths)
        if path.exists():
            raise UserError(f"{path}: exists already: remove it or name another")
        self.written.append(path)
        temporary = self._stack.enter_context(atomic_path(path))
        # Closed before its file is renamed; a failure to close takes the file away.
        tar = tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._tar = self._stack.enter_context(tar)

    def add(self, member: Member) -> None:
        """Put ``member`` into the current tar."""
        assert self._tar is not None
        for name, data in ((member.name, member.data), *member.beside):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o644
            self._tar.addfile(info, io.BytesIO(data))
