"""A tar of faces, read where it lies: nothing is unpacked, nothing is ever written."""

from __future__ import annotations

import errno
import functools
import json
import os
import posixpath
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from urface.data.decode import DEFAULT_LIMITS
from urface.data.file_stamp import file_stamp
from urface.data.manifest import MANIFEST_NAMES, manifest_source, parse_manifest
from urface.data.source import FaceSource, build_source, is_image_name
from urface.data.storage import block_numbers
from urface.data.tar_index import TarMember, index_tar
from urface.types import UserError

CLASS, JSON = ".cls", ".json"
CLASS_FIELDS = (
    "identity",
    "label",
    "class",
    "cls",
)  # the first that a .json has names its image's class
MAX_CLASS_BYTES, MAX_JSON_BYTES = 256, 1 << 14
LAYOUT = "members identity/image (.jpg, .jpeg, .png, .webp), all below the same folders"
MAX_TABLE_BYTES = 1 << 30
# Of some members, with the most bytes to read of one, place -> its bytes.
MakeReader = Callable[..., Callable[[int], bytes]]


class TarReader:
    """Reads image ``i`` as the i-th of ``members`` of the tar ``path``.

    ``pread`` carries its own offset, so threads and forked workers share the descriptor; a spawned
    worker opens its own.
    """

    def __init__(
        self,
        path: Path,
        members: Sequence[TarMember],
        max_bytes: int = DEFAULT_LIMITS.max_bytes + 1,
    ) -> None:
        self.path = path
        self.members = members
        self.max_bytes = max_bytes
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)

    def __reduce__(self) -> tuple[object, ...]:
        return TarReader, (self.path, self.members, self.max_bytes)

    def __call__(self, index: int) -> bytes:
        member = self.members[index]
        wanted = min(member.size, self.max_bytes)
        data = os.pread(self.descriptor, wanted, member.offset)
        if len(data) != wanted:
            raise OSError(errno.EIO, f"{self.path} was cut off after it was opened")
        return data

    def where(self, index: int) -> tuple[str, int]:
        return str(self.path), self.members[index].offset

    def blocks(self) -> np.ndarray:
        return block_numbers(np.array([member.offset for member in self.members], np.int64))

    def stamp(self, index: int) -> bytes:
        member = self.members[index]
        return file_stamp(self.path) + b" %d %d" % (member.offset, member.size)

    def narrowed(self, indices: np.ndarray) -> TarReader:
        members = [self.members[index] for index in indices]
        return TarReader(self.path.absolute(), members, self.max_bytes)


def read_tar(path: str | Path) -> FaceSource:
    """The images of a plain tar at ``[any folder/]identity/image``; other files are passed over.

    A ``manifest.parquet`` or ``manifest.csv`` at the top, or in the one folder there, decides in
    their stead what images there are and how they are labelled. Raises UserError for a compressed,
    damaged or hostile tar (see ``index_tar``), for images at differing depths, where it cannot be
    told which folder names the identity, and when there is no image.
    """
    file = Path(path)
    return tar_source(file, index_tar(file))


def photo_tar(path: Path) -> FaceSource:
    """The images of a plain tar at any depth, the folder of each as its identity.

    Where there is a manifest, as ``read_tar``. Raises UserError as ``index_tar`` does, and when there is
    no image.
    """
    members = index_tar(path)
    if any(_is_manifest(member.name) for member in members):
        return tar_source(path, members)
    images = [m for m in members if is_image_name(m.name.rpartition("/")[2])]
    keys = [posixpath.normpath(m.name) for m in images]
    identities = [posixpath.dirname(key) for key in keys]
    return build_source(str(path), keys, identities, TarReader(path, images))


def tar_source(
    file: Path | str, members: Sequence[TarMember], reader: MakeReader | None = None
) -> FaceSource:
    """``read_tar`` for a tar whose members were indexed; ``reader`` makes what reads some of them."""
    reader = reader or functools.partial(TarReader, Path(file))
    tables = [m for m in members if _is_manifest(m.name)]
    if len(tables) > 1:
        raise UserError(f"{file}: two manifests, {tables[0].name} and {tables[1].name}: keep one")
    if tables:
        return _listed_source(file, members, tables[0], reader)
    images = [m for m in members if is_image_name(m.name.rpartition("/")[2])]
    if not images:
        raise UserError(f"{file}: no image found: expected {LAYOUT}")
    depth = images[0].name.count("/")
    if depth == 0 and any(member.name.endswith((CLASS, JSON)) for member in members):
        return flat_source(file, members, images, reader)
    for member in images:
        if member.name.count("/") != depth or depth == 0:
            raise UserError(f"{file}: {member.name!r} is out of place: expected {LAYOUT}")
    keys = ["/".join(member.name.split("/")[-2:]) for member in images]
    identities = [key.partition("/")[0] for key in keys]
    return build_source(str(file), keys, identities, reader(images))


def _is_manifest(name: str) -> bool:
    folder, _, last = name.rpartition("/")
    return last in MANIFEST_NAMES and "/" not in folder


def _listed_source(
    file: Path | str, members: Sequence[TarMember], table: TarMember, reader: MakeReader
) -> FaceSource:
    if table.size > MAX_TABLE_BYTES:
        raise UserError(f"{file}: {table.name} has {table.size:,} bytes: more than a manifest may")
    name = f"{file}:{table.name}"
    manifest = parse_manifest(reader([table], MAX_TABLE_BYTES)(0), name)
    folder = table.name[: table.name.rfind("/") + 1]
    by_name = {member.name: member for member in members}
    listed = []
    for path in manifest.paths:
        member = by_name.get(folder + path)
        if member is None:
            raise UserError(f"{name}: no member {folder + path}")
        listed.append(member)
    return manifest_source(manifest, name, reader(listed))


def flat_source(
    file: Path | str,
    members: Sequence[TarMember],
    images: Sequence[TarMember],
    reader: MakeReader,
) -> FaceSource:
    """A tar of ``key.jpg`` beside ``key.cls``, which holds the class as text, or ``key.json``, an object
    with one of ``CLASS_FIELDS``; keys are ``class/key.jpg``.

    Raises UserError where an image has no class. Numbers get zeros in front, so that they sort.
    """
    beside = {m.name: m for m in members if m.name.endswith((CLASS, JSON))}
    told = []
    for image in images:
        stem = image.name.rpartition(".")[0]
        member = beside.get(stem + CLASS) or beside.get(stem + JSON)
        if member is None or not 0 < member.size <= most_text(member.name):
            raise UserError(f"{file}: {image.name!r} has no {CLASS} beside it that names its class")
        told.append(member)
    read = reader(told)
    names = []
    for number, member in enumerate(told):
        name = _class_name(read(number), member.name)
        if name is None or not name or "/" in name or "\0" in name or name in (".", ".."):
            raise UserError(
                f"{file}: {member.name!r} holds {str(name)[:40]!r}, which names no class"
            )
        names.append(name)
    wide = max(map(len, names)) if all(map(str.isdecimal, names)) else 0
    names = [name.zfill(wide) for name in names]
    keys = [f"{name}/{image.name}" for name, image in zip(names, images, strict=True)]
    return build_source(str(file), keys, names, reader(images))


def most_text(name: str) -> int:
    """The most bytes that a member beside an image may have, 0 for one that names no class."""
    return MAX_CLASS_BYTES if name.endswith(CLASS) else MAX_JSON_BYTES * name.endswith(JSON)


def _class_name(data: bytes, member: str) -> str | None:
    """The class that ``data`` names; None where a .json names none."""
    if member.endswith(CLASS):
        return data.strip().decode("utf-8", "replace")
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return None
    given = (
        [said[field] for field in CLASS_FIELDS if field in said] if isinstance(said, dict) else []
    )
    named = given and isinstance(given[0], (str, int)) and not isinstance(given[0], bool)
    return str(given[0]) if named else None
