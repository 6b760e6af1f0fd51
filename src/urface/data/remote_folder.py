"""Images by URL for embedding: a folder of any layout, or a plain tar."""

from __future__ import annotations

import errno
import os

import numpy as np

from urface.data.decode import DEFAULT_LIMITS
from urface.data.ranges import RangeCache
from urface.data.remote import file_system, stamp_of_facts, tried
from urface.data.remote_tars import open_tar
from urface.data.source import FaceSource, build_source, is_image_name
from urface.data.tars import tar_source


class RemoteFiles:
    """Reads image ``i`` from the i-th path below the folder ``url``. Raises UserError as ``tried`` does."""

    def __init__(self, url: str, paths: list[str], stamps: list[bytes]) -> None:
        self.url = url
        self.paths = paths
        self.stamps = stamps

    def __call__(self, index: int) -> bytes:
        files, root = file_system(self.url)
        root, path = root.rstrip("/"), self.paths[index]

        def ask() -> bytes | None:
            try:  # one byte more than may be decoded tells that there are too many
                data: bytes = files.cat_file(f"{root}/{path}", 0, DEFAULT_LIMITS.max_bytes + 1)
                return data
            except FileNotFoundError:
                return None

        found: bytes | None = tried(f"{self.url.rstrip('/')}/{path}", ask)
        if found is None:  # taken away since it was listed: that image fails, no outage
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return found

    def stamp(self, index: int) -> bytes:
        return self.stamps[index]

    def narrowed(self, indices: np.ndarray) -> RemoteFiles:
        paths = [self.paths[index] for index in indices]
        return RemoteFiles(self.url, paths, [self.stamps[index] for index in indices])


def open_remote(url: str) -> FaceSource:
    """The images of the plain tar at ``url``, or all below the folder there, whatever its layout.

    Raises UserError as the readers of local tars do, and where nothing is there.
    """
    if url.lower().endswith(".tar"):
        tar = open_tar(url, RangeCache())
        return tar_source(url, tar.members, tar.reader)
    files, path = file_system(url)
    found = tried(url, lambda: files.find(path, detail=True))
    start = len(path.rstrip("/")) + 1
    images = {
        name[start:]: facts for name, facts in found.items() if is_image_name(name.split("/")[-1])
    }
    paths = list(images)
    folders = [path.rpartition("/")[0] for path in paths]
    stamps = [stamp_of_facts(images[path]).encode() for path in paths]
    return build_source(url, paths, folders, RemoteFiles(url, paths, stamps))
