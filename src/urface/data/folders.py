"""A folder of folders, ``identity/image``: the simplest layout a data set can have."""

from __future__ import annotations

import os
from pathlib import Path

from urface.data.source import FaceSource, FileReader, build_source, is_image_name
from urface.types import UserError

LAYOUT = "one folder per identity with its images (.jpg, .jpeg, .png, .webp) directly in it"


def read_folder(path: str | Path) -> FaceSource:
    """The images at exactly ``path/identity/image``; hidden and other files are passed over.

    Raises UserError when nothing is found, or when an image lies higher or deeper: leaving it out
    silently would change every result.
    """
    root = Path(path)
    keys: list[str] = []
    identities: list[str] = []
    for entry in _visible(root):
        if not entry.is_dir():
            if is_image_name(entry.name):
                raise UserError(f"{entry.path}: an image outside any identity: expected {LAYOUT}")
            continue
        for file in _visible(entry.path):
            if file.is_dir():
                _refuse_deeper_images(file.path)
            elif is_image_name(file.name):
                keys.append(f"{entry.name}/{file.name}")
                identities.append(entry.name)
    if not keys:
        raise UserError(f"{root}: no image found: expected {LAYOUT}")
    return build_source(str(root), keys, identities, FileReader(root, keys))


def _visible(path: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{path}: cannot be listed ({error.strerror})") from None


def _refuse_deeper_images(path: str) -> None:
    for folder, _, files in os.walk(path):
        for file in files:
            if is_image_name(file):
                raise UserError(f"{folder}/{file}: an image too deep: expected {LAYOUT}")
