"""A folder of features, one OpenCV matrix a file as MegaFace's tools write them, as a Recogniser."""

from __future__ import annotations

from pathlib import Path

from urface.data.opencv_mat import read_feature_folder
from urface.data.source import is_image_name
from urface.recognisers.convert_weights import refuse_other
from urface.recognisers.features_file import FeaturesFile, Stored
from urface.recognisers.features_parts import FeaturesParts, holds_parts
from urface.types import UserError


class FeaturesFolder(FeaturesFile):
    """Features in ``<path>/<key>_<program>.bin``; the image's ending may be missing from a key's file."""

    def __init__(self, path: Path, name: str, parts: int = 1, sha256: str = "") -> None:
        found = read_feature_folder(path)
        refuse_other(path, found.digest, sha256)
        if found.vectors.shape[1] % parts:
            raise UserError(
                f"{path}: {found.vectors.shape[1]} dimensions cannot be split into {parts} parts"
            )
        stored = Stored(found.keys, found.vectors, parts, None, None)
        self._take(path, name, found.digest, stored)

    def _place(self, key: str) -> int:
        row = super()._place(key)
        if row < 0 and is_image_name(key):
            return super()._place(key.rpartition(".")[0])
        return row


def open_features(path: Path, name: str, parts: int = 1, sha256: str = "") -> FeaturesFile:
    """The features in a file or a folder. Raises UserError as their readers do."""
    kind: type[FeaturesFile] = FeaturesFile
    if path.is_dir():
        kind = FeaturesParts if holds_parts(path) else FeaturesFolder
    return kind(path, name, parts, sha256)
