"""The key of a gallery: a file of its own, or an environment variable; never in the gallery's folder."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from urface.atomic import make_folder, sync_directory
from urface.gallery.seal import KEY_BYTES, GalleryDamaged, derive, seal, unseal
from urface.types import UserError

VARIABLE = "URFACE_GALLERY_KEY"
PREFIX = "urface-gallery-key-1 "


def new_key() -> bytes:
    """32 random bytes of the operating system."""
    return os.urandom(KEY_BYTES)


def write_key(path: str | Path, key: bytes) -> None:
    """A new file that only its owner may read. Raises UserError where there is one: it may be in use."""
    path = Path(path)
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UserError(
            f"{path}: there already; a key is never overwritten, since its gallery would be lost"
        ) from None
    try:
        os.write(descriptor, f"{PREFIX}{key.hex()}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


def read_key(path: str | Path | None = None) -> bytes:
    """The key in ``path``, or in the variable URFACE_GALLERY_KEY (64 hexadecimal digits) without one.

    Raises UserError where there is none, it is no key, or others than its owner may read the file.
    """
    if path is None or str(path) == "":
        told = os.environ.get(VARIABLE, "")
        if not told:
            raise UserError(f"no key: give --key FILE, or the variable {VARIABLE}")
        return _key(told, VARIABLE)
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; `urface gallery create` made one with the gallery")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise UserError(f"{path}: others may read it (mode {mode:04o}): chmod 600 {path}")
    with open(path, "rb") as file:
        text = file.read(200).decode("ascii", "replace")
    if not text.startswith(PREFIX):
        raise UserError(f"{path}: not a key of a gallery")
    return _key(text.removeprefix(PREFIX), str(path))


def _key(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise UserError(f"{where}: a key is {2 * KEY_BYTES} hexadecimal digits")
    return key


@dataclass(frozen=True)
class GalleryKeys:
    """What a gallery's parts are sealed with. Random, and kept in its database under the master key.

    gallery   the gallery's identifier, 16 bytes; no secret
    people    wraps the key of each person
    names     of the keyed hash by which a name is looked up
    audit     of the log's hash chain; stays through renewals, so that old lines can still be checked
    index     of the index file; replaced whenever anything is erased, which erases it from old copies too
    rotation  what the gallery's rotations of embeddings are drawn from
    """

    gallery: bytes
    people: bytes
    names: bytes
    audit: bytes
    index: bytes
    rotation: bytes

    @staticmethod
    def fresh(gallery: bytes) -> GalleryKeys:
        return GalleryKeys(gallery, *(new_key() for _ in range(5)))

    def sealed(self, master: bytes, facts: bytes) -> bytes:
        """For the database; ``facts`` (model, shape, ...) cannot be changed without being noticed."""
        names = ("people", "names", "audit", "index", "rotation")
        told = json.dumps({name: getattr(self, name).hex() for name in names})
        return seal(_wrapping(master, self.gallery), told.encode(), self.gallery + facts)

    @staticmethod
    def unsealed(gallery: bytes, sealed: bytes, master: bytes, facts: bytes) -> GalleryKeys:
        """Raises UserError where ``master`` is another gallery's key."""
        wrapping = _wrapping(master, gallery)
        try:
            told = json.loads(unseal(wrapping, sealed, gallery + facts, "the header"))
        except GalleryDamaged:
            raise UserError(
                "the key does not open this gallery: it is another one's, or the gallery's header was "
                "changed"
            ) from None
        return GalleryKeys(gallery, **{name: bytes.fromhex(text) for name, text in told.items()})


def _wrapping(master: bytes, gallery: bytes) -> bytes:
    if not isinstance(master, bytes) or len(master) != KEY_BYTES:
        raise UserError(f"the key of a gallery is {KEY_BYTES} bytes")
    return derive(master, "wrapping", gallery)
