"""Pairs of single images, each image a template of its own: what most 1:1 protocols come down to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from urface.benchmarks.benchmark import Benchmark, ImageSet, PairTask, Templates
from urface.data.decode import read_image
from urface.data.file_stamp import file_stamp
from urface.data.source import is_image_name
from urface.types import UserError

T = TypeVar("T")  # an image, or its stamp
FOLDS = 10
MEASURES = ("accuracy", "eer", "auc")
MAX_LIST_BYTES = 1 << 28  # the longest list of pairs has a few MB


@dataclass(frozen=True, eq=False)
class ListedPairs:
    """P pairs of images by their keys; ``same`` [P] bool, ``fold`` [P] int64 from 0."""

    left: list[str]
    right: list[str]
    same: np.ndarray
    fold: np.ndarray


@dataclass(frozen=True)
class FileImages:
    """Reads image ``i`` from the i-th path under ``root``. Raises DecodeError where it cannot."""

    root: Path
    paths: list[str]

    def __call__(self, place: int) -> np.ndarray:
        return read_image(self.root / self.paths[place])

    def stamp(self, place: int) -> bytes:
        return file_stamp(f"{self.root}/{self.paths[place]}")


@dataclass(frozen=True, eq=False)
class _Chosen(Generic[T]):
    of: Callable[[int], T]
    places: np.ndarray

    def __call__(self, place: int) -> T:
        return self.of(int(self.places[place]))


def pairs_of_images(
    name: str,
    version: str,
    pairs: ListedPairs,
    place_of: Mapping[str, int],
    read: Callable[[int], np.ndarray],
    subject_of: Callable[[str], str],
    *,
    where: str | Path,
    part: str = "",
    notes: Sequence[str] = (),
    stamp: Callable[[int], bytes] | None = None,
) -> Benchmark:
    """The benchmark of ``pairs``, whose image ``key`` is ``read(place_of[key])``; ``stamp`` as in ImageSet.

    A key that ``place_of`` lacks stays as a template without an image, which is a failure in every
    denominator; ``subject_of`` says of whom a key is. Raises UserError, naming ``where`` the images were
    looked for, when not one is there, for then it is another data set, and where all pairs are of
    one kind.
    """
    keys = list(dict.fromkeys(chain.from_iterable(zip(pairs.left, pairs.right, strict=True))))
    if not any(key in place_of for key in keys):
        raise UserError(f"{where}: none of the pairs' images, e.g. {keys[0]}, is in it")
    if pairs.same.all() or not pairs.same.any():
        raise UserError(f"{where}: all pairs of {name} are of one kind: both are needed")
    present = [key for key in keys if key in place_of]
    places = np.array([place_of[key] for key in present], np.int64)
    template_of = {key: place for place, key in enumerate(keys)}
    image_of = {key: place for place, key in enumerate(present)}
    people = [subject_of(key) for key in keys]
    number_of = {person: number for number, person in enumerate(dict.fromkeys(people))}
    each = np.arange(len(keys), dtype=np.int64)
    templates = Templates(
        names=keys,
        subjects=np.array([number_of[person] for person in people], np.int64),
        image=np.array([image_of.get(key, -1) for key in keys], np.int64),
        template=each,
        media=each,
    )
    left = np.array([template_of[key] for key in pairs.left], np.int64)
    right = np.array([template_of[key] for key in pairs.right], np.int64)
    return Benchmark(
        name=name,
        version=version,
        images=ImageSet(
            present, _Chosen(read, places), stamp=_Chosen(stamp, places) if stamp else None
        ),
        templates=templates,
        pairs=(PairTask(part or name, left, right, pairs.same, pairs.fold, MEASURES),),
        notes=(*notes, *contradictions(templates.subjects, left, right, pairs.same)),
    )


def contradictions(
    subjects: np.ndarray, left: np.ndarray, right: np.ndarray, same: np.ndarray
) -> tuple[str, ...]:
    """A note where labels say otherwise than the names of the people: the labels are what counts."""
    count = int(((subjects[left] == subjects[right]) != same).sum())
    return (f"{count} pairs are labelled against the names of their people",) if count else ()


def fold_by_blocks(count: int, where: str | Path) -> np.ndarray:
    """[count] int64, the fold of each pair: ten blocks of equal size in file order.

    Raises UserError where ten do not divide ``count``.
    """
    if count == 0 or count % FOLDS:
        raise UserError(f"{where}: {count} pairs cannot be {FOLDS} folds of equal size")
    return np.arange(count, dtype=np.int64) // (count // FOLDS)


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text without their ends (LF or CRLF); an empty last line is left out.

    Raises UserError where the file cannot be read, is no text, or is far longer than any list of pairs.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_LIST_BYTES:
        raise UserError(f"{path}: over {MAX_LIST_BYTES:,} bytes: not a list of pairs")
    try:
        # Not splitlines(): it also ends a line at characters that stand inside names.
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not text") from None
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def whole_number(text: str, where: str, what: str) -> int:
    """The number, at most nine plain digits, that ``text`` is. Raises UserError, naming ``where``."""
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise UserError(f"{where}: {text[:40]!r}: expected {what}, a whole number")
    return int(text)


def index_images(folder: Path) -> tuple[dict[str, int], FileImages]:
    """Every image under ``folder``, by its path without the ending: aligned copies are often PNG.

    The other value reads them by place. Raises UserError for two images that differ only in their ending.
    """
    place_of: dict[str, int] = {}
    paths: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            if not is_image_name(file):
                continue
            path = (Path(parent) / file).relative_to(folder).as_posix()
            if stem(path) in place_of:
                raise UserError(f"{folder}: two images are called {stem(path)}: keep one")
            place_of[stem(path)] = len(paths)
            paths.append(path)
    return place_of, FileImages(folder, paths)


def stem(path: str) -> str:
    """``path`` without the ending of its last part."""
    head, slash, last = path.rpartition("/")
    return head + slash + (last.rpartition(".")[0] or last)
