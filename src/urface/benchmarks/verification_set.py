"""InsightFace's verification sets, ``<name>.bin``: encoded images in pairs, ten folds in file order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from urface.benchmarks.benchmark import Benchmark, ImageSet, PairTask, Templates
from urface.benchmarks.image_pairs import MEASURES, fold_by_blocks
from urface.data.decode import decode_image
from urface.data.pair_folder import PAIRS, read_pair_folder
from urface.data.verification_bin import read_verification_bin
from urface.types import UserError

VERSION = "InsightFace's .bin; 10 folds in file order; reading 1"


@dataclass(frozen=True, eq=False)
class _EncodedImages:
    """Decodes image ``i`` of ``data``; ``where`` and ``places`` name it in an error."""

    data: list[bytes]
    where: str
    places: list[int]

    def __call__(self, place: int) -> np.ndarray:
        return decode_image(self.data[place], name=f"{self.where}: image {self.places[place]}")

    def stamp(self, place: int) -> bytes:
        return hashlib.sha256(self.data[place]).digest()


def find_bin(root: Path, name: str) -> Path | None:
    """The ``.bin`` that ``root`` is, or ``<name>.bin`` or a safe form's table in the folder, or None."""
    if root.is_file():
        return root if root.suffix.lower() == ".bin" or root.name == PAIRS else None
    if (root / f"{name}.bin").is_file():
        return root / f"{name}.bin"
    # LFW is also handed around with a pairs.csv of its own; the safe form has its images beside it.
    return root / PAIRS if (root / PAIRS).is_file() and (root / "images").is_dir() else None


def read(root: Path, name: str) -> Benchmark:
    """The pairs of ``<name>.bin``, or of its safe form, a folder of ``images`` and ``pairs.csv``.

    An image that occurs in several pairs is embedded once. Its key is its first place in the file, six
    digits from 000000. A ``.bin`` names nobody: subjects are what its pairs of one person connect, so
    one person may count as several.
    Raises UserError where there is no such file, where it is malformed, where ten folds of equal size
    cannot be made of it, or where all pairs are of one kind. An image that cannot be decoded is a
    failure, found when it is read.
    """
    path = find_bin(root, name)
    if path is None:
        raise UserError(f"{root}: no {name}.bin in it, and it is none")
    safe = path.name == PAIRS
    found = read_pair_folder(path.parent) if safe else read_verification_bin(path)
    same = np.asarray(found.same, bool)
    fold = fold_by_blocks(len(same), path)
    if same.all() or not same.any():
        raise UserError(f"{path}: all its pairs are of one kind: both are needed")
    first, image = _distinct(found.images)
    left, right = image[0::2], image[1::2]
    keys = [f"{place:06d}" for place in first]
    read_image = _EncodedImages([found.images[place] for place in first], str(path), first)
    return Benchmark(
        name=name,
        version=VERSION,
        images=ImageSet(keys, read_image, stamp=read_image.stamp),
        templates=Templates.of_images(keys, _connected(len(first), left[same], right[same])),
        pairs=(PairTask(name, left, right, same, fold, MEASURES),),
        notes=("the file names nobody: subjects are the images that its pairs connect",),
    )


def _distinct(images: Sequence[bytes]) -> tuple[list[int], np.ndarray]:
    """(place of the first of each distinct image, [2P] int64 which of those every image is)."""
    number_of: dict[bytes, int] = {}
    first: list[int] = []
    image: list[int] = []
    for place, data in enumerate(
        images
    ):  # bytes remember their hash: one named again costs nothing
        number = number_of.setdefault(data, len(first))
        if number == len(first):
            first.append(place)
        image.append(number)
    return first, np.array(image, np.int64)


def _connected(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[count] int64 component of each image in the graph whose edges are ``left``-``right``."""
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)
