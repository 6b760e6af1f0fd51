"""A tar of faces, read where it lies: nothing is unpacked, nothing is ever written."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from urface.data.decode import DEFAULT_LIMITS, DecodeError
from urface.data.source import FaceSource, build_source, is_image_name
from urface.data.tar_index import TarMember, index_tar
from urface.types import UserError

LAYOUT = "members identity/image (.jpg, .jpeg, .png, .webp), all below the same folder or none"


class TarReader:
    """Reads image ``i`` as the i-th of ``members`` of the tar ``path``.

    ``pread`` names its own offset, so threads and forked workers share the descriptor; a spawned
    worker opens its own.
    """

    def __init__(self, path: Path, members: Sequence[TarMember]) -> None:
        self.path = path
        self.members = members
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)

    def __reduce__(self) -> tuple[object, ...]:
        return TarReader, (self.path, self.members)

    def __call__(self, index: int) -> bytes:
        member = self.members[index]
        wanted = min(member.size, DEFAULT_LIMITS.max_bytes + 1)
        data = os.pread(self.descriptor, wanted, member.offset)
        if len(data) != wanted:
            raise DecodeError(f"{self.path}: {member.name} is cut off: the file has changed")
        return data


def read_tar(path: str | Path) -> FaceSource:
    """The images of the tar at ``[any folder/]identity/image``; other files are passed over.

    Raises UserError for a compressed, truncated or hostile tar (see ``index_tar``), for images at
    differing depths, where it cannot be told which folder names the identity, and when there is none.
    """
    file = Path(path)
    members = [m for m in index_tar(file) if is_image_name(m.name.rpartition("/")[2])]
    if not members:
        raise UserError(f"{file}: no image found: expected {LAYOUT}")
    depth = members[0].name.count("/")
    for member in members:
        if member.name.count("/") != depth or depth == 0:
            raise UserError(f"{file}: {member.name!r} is out of place: expected {LAYOUT}")
    keys = ["/".join(member.name.split("/")[-2:]) for member in members]
    identities = [key.partition("/")[0] for key in keys]
    return build_source(str(file), keys, identities, TarReader(file, members))
