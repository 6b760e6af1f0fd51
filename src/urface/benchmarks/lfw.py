"""LFW, and XQLFW in its layout: ``Name/Name_0001.jpg`` in folders or a tar, and a list of pairs."""

from __future__ import annotations

import os
from pathlib import Path

from urface.benchmarks.aligner import only_resized
from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.image_pairs import FOLDS, ListedPairs, pairs_of_images, stem
from urface.benchmarks.verification_set import find_bin
from urface.benchmarks.verification_set import read as read_bin
from urface.data.lfw import LfwPairs, parse_pairs, read_pairs
from urface.data.open import open_faces
from urface.data.source import is_image_name, stamp_of
from urface.data.tar_index import index_tar
from urface.data.tars import TarReader
from urface.types import UserError

VERSIONS = {
    "lfw": "LFW View 2, 10 folds in file order; reading 1",
    "xqlfw": "XQLFW, 10 folds in file order; reading 1",
}
MAX_LIST_BYTES = 1 << 24


def read(root: Path, name: str) -> Benchmark:
    """LFW's pairs and the images they name; or ``<name>.bin``, where ``root`` is one or holds it.

    ``root`` is a tar of ``Name/Name_0001.jpg`` (in any folder, of any ending), with the list of pairs in
    it or beside it; or a folder that holds the list and either the people's folders, or one
    folder or tar of them. The list is ``<name>_pairs.txt`` or ``pairs.txt``.
    Images are taken as they lie; who aligned them may be said in ``aligner.txt``, beside the list.
    A pair's image that is not there is a failure. Raises UserError where list or images are missing
    or ambiguous, for a line of the list that is not a pair, and for other than 10 folds.
    """
    binary, listing = find_bin(root, name), _find_list(root, name)
    if binary is not None and listing is not None:
        raise UserError(
            f"{root}: both {binary.name} and {listing.name} are in it: name one of them"
        )
    if binary is not None:
        return read_bin(binary, name)
    images = _find_images(root)
    listing = listing or _find_list(images, name)
    pairs, listed = _read_list(images, listing, name)
    folds = len(set(pairs.fold.tolist()))
    if folds != FOLDS:
        raise UserError(f"{listed}:1: {folds} folds: the protocol has {FOLDS}")
    faces = open_faces(images)
    place_of = {stem(key): place for place, key in enumerate(faces.keys)}
    keys = ListedPairs(
        [stem(key) for key in pairs.left],
        [stem(key) for key in pairs.right],
        pairs.same,
        pairs.fold,
    )
    return pairs_of_images(
        name,
        VERSIONS[name],
        keys,
        place_of,
        faces.image,
        _person,
        where=faces.name,
        stamp=stamp_of(faces.read_bytes),
        notes=(only_resized(root.parent if root.is_file() else root),),
    )


def _person(key: str) -> str:
    return key.partition("/")[0]


def _list_names(name: str) -> tuple[str, str]:
    return f"{name}_pairs.txt", "pairs.txt"


def _find_list(root: Path, name: str) -> Path | None:
    """The list of pairs in the folder ``root``, or beside the tar ``root``."""
    if root.is_file():
        if root.suffix.lower() != ".tar":
            return None
        folder = root.parent
    else:
        folder = root
    found = [folder / file for file in _list_names(name) if (folder / file).is_file()]
    return found[0] if found else None


def _find_images(root: Path) -> Path:
    """The tar or the folder of people's folders that ``root`` is or holds."""
    if root.is_file():
        if root.suffix.lower() == ".tar":
            return root
        raise UserError(f"{root}: expected a folder, a .tar or a .bin")
    inside = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in inside if entry.is_dir()]
    if any(_has_image(folder) for folder in folders):
        return root
    held = [entry for entry in inside if entry.suffix.lower() == ".tar" and entry.is_file()]
    held += [folder for folder in folders if any(_has_image(f) for f in _folders(folder))]
    if len(held) != 1:
        names = ", ".join(entry.name for entry in held) or "none"
        raise UserError(f"{root}: expected one folder or tar of people's images, found {names}")
    return held[0]


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()]


def _has_image(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(is_image_name(entry.name) and entry.is_file() for entry in entries)


def _read_list(images: Path, listing: Path | None, name: str) -> tuple[LfwPairs, str]:
    if listing is not None:
        return read_pairs(listing), str(listing)
    members = index_tar(images) if images.is_file() else []
    lists = [m for m in members if m.name.rpartition("/")[2] in _list_names(name)]
    if len(lists) != 1:
        wanted = " or ".join(_list_names(name))
        raise UserError(f"{images}: {len(lists) or 'no'} {wanted} beside the images or in the tar")
    if lists[0].size > MAX_LIST_BYTES:
        raise UserError(
            f"{images}: {lists[0].name} has {lists[0].size:,} bytes: not a list of pairs"
        )
    listed = f"{images}:{lists[0].name}"
    return parse_pairs(TarReader(images, lists, MAX_LIST_BYTES)(0), listed), listed
