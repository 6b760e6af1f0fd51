"""Images on any file system that fsspec knows, read where they lie: folders and plain tars by URL."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import fsspec
import numpy as np

from urface.data.decode import DEFAULT_LIMITS
from urface.data.source import FaceSource, build_source, is_image_name
from urface.data.tar_index import TarMember, walk_tar
from urface.data.tars import tar_source
from urface.types import UserError

AHEAD = 1 << 20  # bytes that are fetched at a time while the headers of a tar are walked


@functools.lru_cache(maxsize=64)
def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of ``url`` and the path on it. Raises UserError where there is no way to it."""
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UserError(f"{url}: cannot be reached ({' '.join(str(error).split())})") from None
    return found


class RemoteFiles:
    """Reads image ``i`` from the i-th path below the folder ``url``."""

    def __init__(self, url: str, paths: list[str], stamps: list[bytes]) -> None:
        self.url = url
        self.paths = paths
        self.stamps = stamps

    def __call__(self, index: int) -> bytes:
        files, root = file_system(self.url)
        # One byte more than may be decoded tells that there are too many.
        end = DEFAULT_LIMITS.max_bytes + 1
        data: bytes = files.cat_file(f"{root.rstrip('/')}/{self.paths[index]}", 0, end)
        return data

    def stamp(self, index: int) -> bytes:
        return self.stamps[index]

    def narrowed(self, indices: np.ndarray) -> RemoteFiles:
        paths = [self.paths[index] for index in indices]
        return RemoteFiles(self.url, paths, [self.stamps[index] for index in indices])


class RemoteTar:
    """Reads image ``i`` as the i-th of ``members`` of the tar at ``url``."""

    def __init__(
        self,
        url: str,
        members: Sequence[TarMember],
        max_bytes: int = DEFAULT_LIMITS.max_bytes + 1,
        told: bytes = b"",
    ) -> None:
        self.url = url
        self.members = members
        self.max_bytes = max_bytes
        self.told = told

    def __call__(self, index: int) -> bytes:
        files, path = file_system(self.url)
        member = self.members[index]
        wanted = min(member.size, self.max_bytes)
        data: bytes = files.cat_file(path, member.offset, member.offset + wanted)
        if len(data) != wanted:
            raise OSError(5, f"{self.url} was cut off after it was opened")
        return data

    def stamp(self, index: int) -> bytes:
        member = self.members[index]
        return self.told + b" %d %d" % (member.offset, member.size)

    def narrowed(self, indices: np.ndarray) -> RemoteTar:
        members = [self.members[index] for index in indices]
        return RemoteTar(self.url, members, self.max_bytes, self.told)


def open_remote(url: str) -> FaceSource:
    """The images of the plain tar at ``url``, or all below the folder there, whatever its layout.

    Raises UserError as the readers of local tars do, and where nothing is there.
    """
    files, path = file_system(url)
    try:
        if url.lower().endswith(".tar"):
            facts = files.info(path)
            members = walk_tar(url, _blocks(files, path), int(facts["size"]))
            reader: Callable[..., Callable[[int], bytes]]
            reader = functools.partial(RemoteTar, told=stamp_of_facts(facts))
            return tar_source(url, members, reader)
        found = files.find(path, detail=True)
    except OSError as error:
        raise UserError(f"{url}: cannot be read ({error.strerror or error})") from None
    start = len(path.rstrip("/")) + 1
    images = {
        name[start:]: facts for name, facts in found.items() if is_image_name(name.split("/")[-1])
    }
    paths = list(images)
    folders = [path.rpartition("/")[0] for path in paths]
    return build_source(
        url,
        paths,
        folders,
        RemoteFiles(url, paths, [stamp_of_facts(images[path]) for path in paths]),
    )


def _blocks(files: Any, path: str) -> Callable[[int, int], bytes]:
    handle = files.open(path, "rb", block_size=AHEAD)

    def read(size: int, offset: int) -> bytes:
        handle.seek(offset)
        data: bytes = handle.read(size)
        return data

    return read


def stamp_of_facts(facts: dict[str, Any]) -> bytes:
    """What changes with the file, as far as its store tells: its size, and a hash or a time."""
    names = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")
    told = (facts.get(name) for name in names)
    return f"{facts.get('size')} {next((value for value in told if value), '')}".encode()
