"""The one shape of a data set, whatever container it lies in.

Columns, not one object per image, so that millions of images fit; the bytes of an image come from a
``read`` function that any thread or worker process may call.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from urface.data.align import celeba_crop
from urface.data.decode import DecodeError, decode_image, read_capped
from urface.data.file_stamp import file_stamp
from urface.types import UserError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, eq=False)
class FaceSource:
    """N images of C identities.

    name             for messages
    keys             N unique names, ``identity/file.jpg``, ascending
    labels           [N] int64, places in ``identities``
    identities       C names, ascending
    variation_names  T names of what is known to vary
    variations       [N, T] float32 in 0..1, NaN where not known
    read_bytes       place -> the encoded image; safe to call from threads and worker processes
    celeba_frame     [N] bool, which images stand in CelebA's own frame and not in the template's; None: none
    """

    name: str
    keys: list[str]
    labels: np.ndarray
    identities: list[str]
    variation_names: tuple[str, ...]
    variations: np.ndarray
    read_bytes: Callable[[int], bytes]
    celeba_frame: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, index: int) -> bytes:
        """The encoded image at ``index``. Raises DecodeError, its key first, when unreadable."""
        try:
            return self.read_bytes(index)
        except OSError as error:
            raise DecodeError(f"{self.keys[index]}: cannot be read ({error.strerror})") from None

    def image(self, index: int) -> np.ndarray:
        """The aligned face at ``index``, RGB uint8 [H, W, 3]. Raises DecodeError, its key first."""
        image = decode_image(self.read(index), name=self.keys[index])
        if self.celeba_frame is not None and self.celeba_frame[index]:
            return celeba_crop(image, name=self.keys[index])
        return image


@dataclass(frozen=True)
class FileReader:
    """Reads image ``i`` from the i-th path under ``root``."""

    root: Path
    paths: list[str]

    def __call__(self, index: int) -> bytes:
        return read_capped(self.root / self.paths[index])

    def where(self, index: int) -> tuple[str, None]:
        return f"{self.root}/{self.paths[index]}", None

    def stamp(self, index: int) -> bytes:
        return file_stamp(f"{self.root}/{self.paths[index]}")

    def narrowed(self, indices: np.ndarray) -> FileReader:
        return FileReader(self.root.absolute(), [self.paths[index] for index in indices])


@dataclass(frozen=True)
class SelectedReader:
    """Reads image ``i`` as image ``indices[i]`` of another reader."""

    read: Callable[[int], bytes]
    indices: np.ndarray

    def __call__(self, index: int) -> bytes:
        return self.read(int(self.indices[index]))


def stamp_of(read_bytes: Callable[[int], bytes]) -> Callable[[int], bytes] | None:
    """place -> bytes that change when the file that ``read_bytes`` reads does; None where it cannot tell."""
    if isinstance(read_bytes, SelectedReader):
        inner = stamp_of(read_bytes.read)
        return SelectedReader(inner, read_bytes.indices) if inner else None
    found: Callable[[int], bytes] | None = getattr(read_bytes, "stamp", None)
    return found


@functools.lru_cache(maxsize=4)
def images_digest(source: FaceSource) -> str:
    """Changes with the images' names, their order and the files they are read from.

    The files are asked once for each ``source``, for their size and time alone; readers that cannot tell
    add nothing.
    """
    stamp = stamp_of(source.read_bytes)
    digest = hashlib.sha256(source.name.encode())
    for index, key in enumerate(source.keys):
        digest.update(b"\0" + key.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(stamp(index) if stamp else b"")
    return digest.hexdigest()[:16]


def narrowed(read_bytes: Callable[[int], bytes], indices: np.ndarray) -> Callable[[int], bytes]:
    """Reads image ``i`` as image ``indices[i]`` of another reader, and holds no more than that takes.

    Unlike a SelectedReader it does not bring the whole list with it when it travels to a worker.
    """
    if isinstance(read_bytes, SelectedReader):
        return narrowed(read_bytes.read, read_bytes.indices[indices])
    narrower: Callable[[np.ndarray], Callable[[int], bytes]] | None
    narrower = getattr(read_bytes, "narrowed", None)
    return narrower(indices) if narrower else SelectedReader(read_bytes, indices)


def narrow(source: FaceSource, places: range) -> FaceSource:
    """The images at ``places`` with their names, without identities and labels: small, to be sent."""
    indices = np.arange(places.start, places.stop)
    return FaceSource(
        name=source.name,
        keys=source.keys[places.start : places.stop],
        labels=np.zeros(len(indices), np.int64),
        identities=[""],
        variation_names=(),
        variations=np.empty((len(indices), 0), np.float32),
        read_bytes=narrowed(source.read_bytes, indices),
        celeba_frame=None if source.celeba_frame is None else source.celeba_frame[indices],
    )


def build_source(
    name: str,
    keys: Sequence[str],
    identities: Sequence[str],
    read_bytes: Callable[[int], bytes],
    variation_names: Sequence[str] = (),
    variations: np.ndarray | None = None,
    celeba_frame: np.ndarray | None = None,
) -> FaceSource:
    """A source of N images in ascending order of their keys, from columns in any order.

    ``identities`` names the identity of each image, ``variations`` is [N, T], ``celeba_frame`` [N].
    The order does not depend on the container, so that a folder, a tar and a manifest of the same
    images train alike.
    Raises UserError when there is no image, or when two keys or two identities are equal or differ
    only in how Unicode writes an accent.
    """
    if not keys:
        raise UserError(f"{name}: no image in it")
    check_distinct(keys, name, "image")
    names = sorted(set(identities))
    check_distinct(names, name, "identity")
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    label_of = {identity: label for label, identity in enumerate(names)}
    labels = np.array([label_of[identity] for identity in identities], dtype=np.int64)
    if variations is None:
        variations = np.full((len(keys), len(variation_names)), np.nan, np.float32)
    return FaceSource(
        name=name,
        keys=[keys[i] for i in order],
        labels=labels[order],
        identities=names,
        variation_names=tuple(variation_names),
        variations=np.asarray(variations, np.float32)[order],
        read_bytes=SelectedReader(read_bytes, order),
        celeba_frame=None if celeba_frame is None else celeba_frame[order],
    )


def check_distinct(names: Iterable[str], where: str, what: str) -> None:
    """Raise UserError where two names are equal once their accents are written alike (NFC)."""
    seen: set[str] = set()
    for name in names:
        plain = name if name.isascii() else unicodedata.normalize("NFC", name)
        if plain in seen:
            raise UserError(f"{where}: two {what} entries are named {name!r}: rename one")
        seen.add(plain)


def is_image_name(name: str) -> bool:
    """Whether a file's name ends as an image's does and is not hidden."""
    return name.lower().endswith(IMAGE_ENDINGS) and not name.startswith(".")


def select(source: FaceSource, indices: np.ndarray | Sequence[int]) -> FaceSource:
    """The images at ``indices``, in that order; identities without an image are dropped.

    Labels are renumbered to the identities that remain, whose order is kept.
    """
    chosen = np.asarray(indices, dtype=np.int64)
    if chosen.size == 0:
        raise UserError(f"{source.name}: the selection leaves no image")
    present, labels = np.unique(source.labels[chosen], return_inverse=True)
    reader = SelectedReader(source.read_bytes, chosen)
    if isinstance(source.read_bytes, SelectedReader):  # selections stay one step deep
        reader = SelectedReader(source.read_bytes.read, source.read_bytes.indices[chosen])
    return FaceSource(
        name=source.name,
        keys=[source.keys[i] for i in chosen],
        labels=labels.astype(np.int64),
        identities=[source.identities[label] for label in present],
        variation_names=source.variation_names,
        variations=source.variations[chosen],
        read_bytes=reader,
        celeba_frame=None if source.celeba_frame is None else source.celeba_frame[chosen],
    )


def with_min_images(source: FaceSource, count: int) -> FaceSource:
    """Only the identities with at least ``count`` images."""
    enough = np.bincount(source.labels, minlength=len(source.identities)) >= count
    if not enough.any():
        raise UserError(f"{source.name}: no identity has {count} images: ask for fewer")
    return select(source, np.flatnonzero(enough[source.labels]))


def first_identities(source: FaceSource, count: int) -> FaceSource:
    """Only the first ``count`` identities, in the order of ``source.identities``."""
    if count < 1:
        raise UserError(f"{count} identities asked for: at least 1 is needed")
    return select(source, np.flatnonzero(source.labels < count))
