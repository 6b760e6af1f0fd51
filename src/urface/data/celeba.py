"""CelebA in its published layout: ``img_align_celeba`` beside ``Anno``, as a folder or in a tar.

Its images are aligned, but to its own frame: the source says so, and ``FaceSource.image`` maps them to
the 112 template.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from urface.data.source import FaceSource, FileReader, build_source
from urface.data.tar_index import TarMember, index_tar
from urface.data.tars import TarReader
from urface.types import UserError

IDENTITIES = "Anno/identity_CelebA.txt"
ATTRIBUTES = "Anno/list_attr_celeba.txt"
IMAGES = "img_align_celeba/"

Reader = Callable[[int], bytes]


def read_celeba(path: str | Path) -> FaceSource:
    """CelebA from its folder or from a plain tar of it.

    Keys are ``identity/NNNNNN.jpg``; the 40 attributes become variations, -1 as 0 and 1 as 1. The
    list of identities says which images there are, so a part of CelebA works with its part of that
    list. Raises UserError, naming file and line, where a list is missing, damaged or names an image
    that is missing.
    """
    root = Path(path)
    if root.is_dir():
        return _read_folder(root)
    return read_celeba_tar(root, index_tar(root))


def _read_folder(root: Path) -> FaceSource:
    texts = {}
    for name in (IDENTITIES, ATTRIBUTES):
        try:
            texts[name] = (root / name).read_bytes()
        except OSError as error:
            raise UserError(f"{root / name}: cannot be read ({error.strerror})") from None
    folder = root / IMAGES
    present = set(os.listdir(folder)) if folder.is_dir() else set()
    return _build(str(root), texts, present, lambda images: FileReader(folder, list(images)))


def read_celeba_tar(file: Path, members: Sequence[TarMember]) -> FaceSource:
    """CelebA from the tar ``file`` whose ``members`` were indexed, below any folder."""
    by_name = {member.name: member for member in members}
    prefix = next((n.removesuffix(IDENTITIES) for n in by_name if n.endswith(IDENTITIES)), "")
    texts = {}
    for name in (IDENTITIES, ATTRIBUTES):
        if prefix + name not in by_name:
            raise UserError(f"{file}: no member {prefix + name}")
        texts[name] = TarReader(file, [by_name[prefix + name]], max_bytes=1 << 30)(0)
    folder = prefix + IMAGES
    present = {name.removeprefix(folder) for name in by_name if name.startswith(folder)}
    return _build(
        str(file),
        texts,
        present,
        lambda images: TarReader(file, [by_name[folder + image] for image in images]),
    )


def _build(
    name: str, texts: dict[str, bytes], present: set[str], reader: Callable[[Sequence[str]], Reader]
) -> FaceSource:
    where = f"{name}: {IDENTITIES}"
    identity_of: dict[str, str] = {}
    for number, line in enumerate(_lines(texts[IDENTITIES], where), 1):
        cells = line.split()
        if len(cells) != 2 or not cells[1].isdecimal() or cells[0] in identity_of:
            raise UserError(f"{where}:{number}: {line!r}: expected NNNNNN.jpg and its identity")
        if cells[0] not in present:
            raise UserError(f"{where}:{number}: {cells[0]} is not in {IMAGES}")
        # Padded, so that ascending names are ascending numbers.
        identity_of[cells[0]] = f"{int(cells[1]):05d}"
    images = list(identity_of)
    identities = list(identity_of.values())
    keys = [f"{identity}/{image}" for image, identity in identity_of.items()]
    names, values = _read_attributes(texts[ATTRIBUTES], f"{name}: {ATTRIBUTES}", images)
    frame = np.ones(len(keys), bool)
    return build_source(name, keys, identities, reader(images), names, values, frame)


def _read_attributes(
    text: bytes, where: str, images: Sequence[str]
) -> tuple[list[str], np.ndarray]:
    """The attribute names, and [N, T] float32 of 0 and 1 for ``images``, NaN where not listed.

    Line 1 is the number of images, line 2 the names, then a row per image of -1 and 1.
    """
    lines = _lines(text, where)
    if len(lines) < 2 or not lines[0].strip().isdecimal():
        raise UserError(f"{where}:1: expected the number of images, then the names on line 2")
    names = lines[1].split()
    if len(lines) - 2 != int(lines[0]):
        raise UserError(f"{where}: {len(lines) - 2} rows, but line 1 says {int(lines[0])}")
    place_of = {image: place for place, image in enumerate(images)}
    values = np.full((len(images), len(names)), np.nan, np.float32)
    for number, line in enumerate(lines[2:], 3):
        image, *cells = line.split()
        if len(cells) != len(names) or not {"-1", "1"}.issuperset(cells):
            raise UserError(f"{where}:{number}: expected an image and {len(names)} times -1 or 1")
        if image in place_of:
            values[place_of[image]] = [cell == "1" for cell in cells]
    return names, values


def _lines(text: bytes, where: str) -> list[str]:
    try:
        return [line for line in text.decode().splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise UserError(f"{where}: not text") from None
