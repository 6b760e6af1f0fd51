"""CALFW and CPLFW: a list with two lines for each pair, and a folder of aligned images."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.image_pairs import (
    FOLDS,
    ListedPairs,
    fold_by_blocks,
    index_images,
    pairs_of_images,
    read_lines,
    stem,
    whole_number,
)
from urface.benchmarks.verification_set import find_bin
from urface.benchmarks.verification_set import read as read_bin
from urface.types import UserError

LISTS = {"calfw": "pairs_CALFW.txt", "cplfw": "pairs_CPLFW.txt"}
IMAGES = "aligned images"
NAME = re.compile(r"([^/\\\0]+)_\d+\.(?:jpg|jpeg|png|webp)", re.ASCII | re.IGNORECASE)


def read(root: Path, name: str) -> Benchmark:
    """``<name>.bin``; or ``pairs_CALFW.txt`` (``pairs_CPLFW.txt``) and the folder ``aligned images``.

    Two lines ``file label`` make a pair; its label, which both carry, is 0 for two people, else above 0.
    The k-th tenth of the pairs of one person and the k-th tenth of those of two make fold k: where
    the file counts its folds itself (CALFW labels pairs of one person 1 to 10), they must agree.
    A listed image that is not in the folder is a failure. Raises UserError, with file and line, for
    lines of another form, labels that differ within a pair, a label that is not the fold, an image with
    itself, and where ten folds of equal size cannot be made.
    """
    binary, listing = find_bin(root, name), root / LISTS[name]
    if binary is not None and listing.is_file():
        raise UserError(
            f"{root}: both {binary.name} and {listing.name} are in it: name one of them"
        )
    if binary is not None:
        return read_bin(binary, name)
    folder = root / IMAGES
    if not listing.is_file() or not folder.is_dir():
        raise UserError(f"{root}: expected {name}.bin, or {listing.name} and a folder {IMAGES!r}")
    pairs = _read_pairs(listing)
    place_of, read_image = index_images(folder)
    return pairs_of_images(
        name,
        f"{name.upper()}, 10 folds in file order; reading 1",
        pairs,
        place_of,
        read_image,
        lambda key: key.rpartition("_")[0],
        stamp=read_image.stamp,
        where=folder,
    )


def _read_pairs(path: Path) -> ListedPairs:
    lines = read_lines(path)
    if len(lines) % 2:
        raise UserError(f"{path}:{len(lines)}: an odd number of lines: two make a pair")
    keys: list[str] = []
    labels: list[int] = []
    for number, line in enumerate(lines, start=1):
        where, cells = f"{path}:{number}", line.split()
        if len(cells) != 2:
            raise UserError(f"{where}: {line[:80]!r}: expected a file and a label")
        if NAME.fullmatch(cells[0]) is None:
            raise UserError(f"{where}: {cells[0][:80]!r}: expected Name_number.jpg")
        label = whole_number(cells[1], where, "a label")
        if label > FOLDS:
            raise UserError(f"{where}: label {label}: expected 0 to {FOLDS}")
        key = stem(cells[0])
        if number % 2 == 0 and label != labels[-1]:
            raise UserError(f"{where}: label {label}, but the pair's first line has {labels[-1]}")
        if number % 2 == 0 and key == keys[-1]:
            raise UserError(f"{where}: {cells[0]}: an image with itself")
        keys.append(key)
        labels.append(label)
    label_of = np.array(labels[::2], np.int64)
    same = label_of > 0
    fold = np.zeros(len(same), np.int64)
    for kind in (same, ~same):
        fold[kind] = fold_by_blocks(int(kind.sum()), path)
    if label_of.max() > 1:
        wrong = np.flatnonzero(same & (label_of != fold + 1))
        if len(wrong):
            pair = int(wrong[0])
            raise UserError(
                f"{path}:{2 * pair + 1}: label {label_of[pair]}: by its place the pair is in fold "
                f"{fold[pair] + 1}, and labels above 1 count the folds"
            )
    return ListedPairs(keys[0::2], keys[1::2], same, fold)
