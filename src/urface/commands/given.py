"""What the PATHS of a command stand for: image files, folders at any depth, tars, manifests, URLs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from urface.data.remote import is_url
from urface.types import UserError

if TYPE_CHECKING:
    from urface.data.source import FaceSource


def find_faces(paths: Sequence[str], photos: bool = False) -> list[tuple[str, FaceSource]]:
    """The sources behind ``paths``, each with what its keys begin with.

    Of a tar of ``photos`` the images may lie at any depth, as in a folder.
    """
    from urface.data import celeba
    from urface.data.manifest import MANIFEST_NAMES
    from urface.data.open import open_faces
    from urface.data.parquet_images import holds_images, read_parquet_images
    from urface.data.remote_folder import open_remote
    from urface.data.source import is_image_name
    from urface.data.tars import photo_tar

    places: set[str] = set()
    for given in paths:
        place = given if is_url(given) else os.path.realpath(given)
        if place in places:
            raise UserError(f"{given}: named twice in PATHS; its faces would be in OUT twice")
        places.add(place)
    described = (*MANIFEST_NAMES, celeba.IDENTITIES)
    sources = []
    for given in paths:
        path = Path(given)
        prefix = f"{given.rstrip('/')}/" if len(paths) > 1 else ""
        there = is_url(given) or path.is_file()
        if there and given.lower().endswith(".parquet") and holds_images(given):
            sources.append((prefix, read_parquet_images(given)))
        elif is_url(given):
            sources.append((prefix, open_remote(given)))
        elif path.is_file() and is_image_name(path.name):
            # A source of one image costs little beside decoding it.
            sources.append(("", _files(given, Path(), [given])))
        elif path.is_dir() and not any((path / name).is_file() for name in described):
            sources.append((prefix, _files(given, path, _images_below(path))))
        elif photos and path.is_file() and path.suffix.lower() == ".tar":
            sources.append((prefix, photo_tar(path)))
        else:
            sources.append((prefix, open_faces(path)))
    _refuse_repeated(sources)
    return sources


def _refuse_repeated(sources: list[tuple[str, FaceSource]]) -> None:
    """A key must name one face: d/a.jpg, and again as a.jpg of the folder d, would be two."""
    seen: set[str] = set()
    for prefix, source in sources if len(sources) > 1 else []:
        keys = {prefix + key for key in source.keys}
        if repeated := seen & keys:
            raise UserError(f"{min(repeated)}: is in two of PATHS; name one of them")
        seen |= keys


def _images_below(folder: Path) -> list[str]:
    from urface.data.source import is_image_name

    def refuse(error: OSError) -> None:
        raise error

    found = []
    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.relpath(f"{here}/{name}", folder) for name in files if is_image_name(name)
        ]
    return found


def _files(name: str, root: Path, paths: list[str]) -> FaceSource:
    from urface.data.source import FileReader, build_source

    identities = [os.path.dirname(path) for path in paths]
    return build_source(name, paths, identities, FileReader(root, paths))
