"""CFP in its own layout: frontal-frontal (``cfp_ff``) and frontal-profile (``cfp_fp``) pairs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from urface.benchmarks.aligner import only_resized
from urface.benchmarks.benchmark import Benchmark, PairTask
from urface.benchmarks.image_pairs import (
    FOLDS,
    ListedPairs,
    index_images,
    pairs_of_images,
    read_lines,
    whole_number,
)
from urface.benchmarks.verification_set import find_bin
from urface.benchmarks.verification_set import read as read_bin
from urface.types import UserError

PARTS = {"cfp_ff": "FF", "cfp_fp": "FP"}
VIEWS = {"F": "frontal", "P": "profile"}
PATH = re.compile(r"\.\./Data/Images/(\d{3}/(frontal|profile)/\d{2})\.jpg", re.ASCII)


def read(root: Path, name: str) -> Benchmark:
    """The pairs of ``Protocol/Split/FF`` or ``FP`` and ``Data/Images``; or ``<name>.bin``.

    Accuracy is that of the ten splits; EER and AUC are also given for each split, to be averaged as its
    authors do. Images are taken as they lie; who aligned them may be said in ``aligner.txt``.
    An image of the lists that is not under ``Data/Images`` is a failure. Raises UserError,
    with file and line, for a row of another form, an index outside its list, an image with
    itself, splits other than 01 to 10 or of unequal size, and where Data or Protocol is missing.
    """
    binary, protocol = find_bin(root, name), root / "Protocol"
    if binary is not None and protocol.is_dir():
        raise UserError(f"{root}: both {binary.name} and Protocol are in it: name one of them")
    if binary is not None:
        return read_bin(binary, name)
    images = root / "Data" / "Images"
    if not protocol.is_dir() or not images.is_dir():
        raise UserError(f"{root}: expected Data/Images and Protocol in it, or {name}.bin")
    part = PARTS[name]
    first, second = (_read_list(protocol / f"Pair_list_{view}.txt", view) for view in part)
    pairs = _read_splits(protocol / "Split" / part, first, second)
    place_of, read_image = index_images(images)
    whole = pairs_of_images(
        name,
        f"CFP {part}, 10 splits; reading 1",
        pairs,
        place_of,
        read_image,
        lambda key: key.partition("/")[0],
        stamp=read_image.stamp,
        where=images,
        part=part,
        notes=(only_resized(root),),
    )
    return replace(whole, pairs=(*whole.pairs, *_splits_of(whole.pairs[0])))


def _splits_of(whole: PairTask) -> list[PairTask]:
    """Each split as a part of its own: CFP reports mean and deviation of their EER and AUC."""
    splits = []
    for fold in range(FOLDS):
        rows = whole.fold == fold
        columns = (whole.left[rows], whole.right[rows], whole.same[rows])
        alone = np.zeros(int(rows.sum()), np.int64)
        title, group = f"{whole.name} split {fold + 1:02d}", f"{whole.name} splits"
        splits.append(PairTask(title, *columns, alone, ("eer", "auc"), group))
    return splits


def _read_list(path: Path, view: str) -> list[str]:
    """The keys ``001/frontal/01`` of a list of lines ``index path``, in the order of their indices."""
    keys: list[str] = []
    seen: set[str] = set()
    for number, line in enumerate(read_lines(path), start=1):
        where, cells = f"{path}:{number}", line.split()
        if len(cells) != 2:
            raise UserError(f"{where}: {line[:80]!r}: expected an index and a path")
        index = whole_number(cells[0], where, "the index of the image")
        if index != number:
            raise UserError(f"{where}: index {index}: expected {number}, they count the lines")
        found = PATH.fullmatch(cells[1])
        if found is None or found[2] != VIEWS[view]:
            shape = f"../Data/Images/NNN/{VIEWS[view]}/NN.jpg"
            raise UserError(f"{where}: {cells[1][:80]!r}: expected {shape}")
        if found[1] in seen:
            raise UserError(f"{where}: {cells[1]} was listed before")
        seen.add(found[1])
        keys.append(found[1])
    if not keys:
        raise UserError(f"{path}: no image listed in it")
    return keys


def _read_splits(folder: Path, first: list[str], second: list[str]) -> ListedPairs:
    names = [f"{split:02d}" for split in range(1, FOLDS + 1)]
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: it holds the splits 01 to {names[-1]}")
    present = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if present != names:
        raise UserError(
            f"{folder}: its folders are not the splits 01 to {names[-1]}: {present[:12]}"
        )
    left: list[str] = []
    right: list[str] = []
    same: list[bool] = []
    fold: list[int] = []
    sizes = []
    for split, name in enumerate(names):
        size = []
        for kind in ("same", "diff"):
            rows = _read_pairs(folder / name / f"{kind}.txt", first, second)
            size.append(len(rows))
            left += [a for a, _ in rows]
            right += [b for _, b in rows]
            same += [kind == "same"] * len(rows)
            fold += [split] * len(rows)
        sizes.append(size)
        if size != sizes[0]:
            raise UserError(
                f"{folder / name}: {size[0]} same and {size[1]} diff pairs, but split 01 has "
                f"{sizes[0][0]} and {sizes[0][1]}: splits are of equal size"
            )
    return ListedPairs(left, right, np.array(same, bool), np.array(fold, np.int64))


def _read_pairs(path: Path, first: list[str], second: list[str]) -> list[tuple[str, str]]:
    """Lines ``i,j``: places, from 1, in the two lists."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        where, cells = f"{path}:{number}", line.strip().split(",")
        if len(cells) != 2:
            raise UserError(f"{where}: {line[:80]!r}: expected two indices, i,j")
        keys = []
        for cell, listed in zip(cells, (first, second), strict=True):
            index = whole_number(cell.strip(), where, "an index of the list of images")
            if not 1 <= index <= len(listed):
                raise UserError(f"{where}: index {index}: the list has 1 to {len(listed)}")
            keys.append(listed[index - 1])
        if keys[0] == keys[1]:
            raise UserError(f"{where}: {line.strip()!r}: an image with itself")
        rows.append((keys[0], keys[1]))
    if not rows:
        raise UserError(f"{path}: no pair in it")
    return rows
