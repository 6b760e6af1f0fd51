"""A folder by a local path or on a store of ``remote.PACKAGES`` where a put makes the whole object appear."""

from __future__ import annotations

from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from urface.atomic import write_atomic
from urface.data.remote import file_system
from urface.types import UserError

# Where one put makes the whole object appear: nothing to rename, and renaming there is a copy.
WHOLE_PUTS = {"memory", "s3", "gs", "gcs", "az", "abfs"}


class Store:
    """Files in the folder ``url``, each of them whole or absent whatever kills the writer.

    A worker on another machine makes its own from the same URL. Raises UserError as ``file_system`` does, and
    for https, which is only read.
    """

    def __init__(self, url: str) -> None:
        self._fs, self._root = file_system(url)
        if not isinstance(self._fs, LocalFileSystem) and WHOLE_PUTS.isdisjoint(self._protocols()):
            raise UserError(f"{url}: cannot be written to: give a folder or a URL of a store")
        # A worker need not start in the folder that a relative path is meant from.
        self.url = self._root if isinstance(self._fs, LocalFileSystem) else url

    def names(self) -> set[str]:
        """The files directly in the folder; none where there is no folder."""
        self._fs.invalidate_cache()
        try:
            listed = self._fs.ls(self._root, detail=True)
        except FileNotFoundError:
            return set()
        return {entry["name"].rpartition("/")[2] for entry in listed if entry["type"] == "file"}

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        data: bytes = self._fs.cat_file(self._path(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole or not at all, in place of one of that name."""
        if isinstance(self._fs, LocalFileSystem):
            write_atomic(Path(self._path(name)), data)
        else:
            self._fs.pipe_file(self._path(name), data)

    def remove(self, name: str) -> None:
        """Take a file away, if it is still there."""
        try:
            self._fs.rm_file(self._path(name))
        except FileNotFoundError:
            return

    @property
    def in_one_process(self) -> bool:
        """Whether other processes do not see what is written."""
        return "memory" in self._protocols()

    def _protocols(self) -> set[str]:
        protocol = self._fs.protocol
        return {protocol} if isinstance(protocol, str) else set(protocol)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"
