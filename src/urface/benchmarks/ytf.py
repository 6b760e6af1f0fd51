"""YouTube Faces: pairs of videos; a video is a template whose frames share one medium."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from urface.benchmarks.aligner import only_resized
from urface.benchmarks.benchmark import Benchmark, ImageSet, PairTask, Templates
from urface.benchmarks.image_pairs import (
    FOLDS,
    MEASURES,
    FileImages,
    contradictions,
    read_lines,
    whole_number,
)
from urface.data.source import is_image_name
from urface.types import UserError

LIST, CORRECTED = "splits.txt", "splits_corrected.txt"
WHOLE_FRAMES = "frame_images_DB"
# Folder of the frames, and what their names begin with: the aligned ones first.
FRAMES = {"aligned_images_DB": "aligned_detect_", WHOLE_FRAMES: ""}
NOT_ALIGNED = (
    "WHOLE FRAMES, NOT FACES: those of frame_images_DB are only resized unless faces were cut out of them "
    "and aligned before: do not compare these numbers with others"
)
VIDEO = re.compile(r"([^/\\\0]+)/(\d{1,9})", re.ASCII)


@dataclass(frozen=True, eq=False)
class _Splits:
    """P rows of a list: names ``Person/video``, label, split from 0; ``changed`` labels of the errata."""

    left: list[str]
    right: list[str]
    same: np.ndarray
    fold: np.ndarray
    changed: int
    columns: int


def read(root: Path, name: str) -> Benchmark:
    """The pairs of ``splits_corrected.txt`` where it is there, else of ``splits.txt``, and the frames.

    Frames are those of ``aligned_images_DB``, else of ``frame_images_DB``, in the order of their numbers.
    A video without a frame is a template without an image: a failure. Raises UserError, with file and
    line, for rows of another form, other than 10 splits, or splits of unequal size; for a frame with
    a name of another form; and where list or frames are missing.
    """
    listing = next((root / n for n in (CORRECTED, LIST) if (root / n).is_file()), None)
    folder = next((root / n for n in FRAMES if (root / n).is_dir()), None)
    if listing is None or folder is None:
        raise UserError(f"{root}: expected {LIST} or {CORRECTED}, and {' or '.join(FRAMES)} in it")
    splits = _read_splits(listing)
    videos = list(dict.fromkeys(chain.from_iterable(zip(splits.left, splits.right, strict=True))))
    paths, template = _find_frames(folder, videos)
    if not paths:
        raise UserError(f"{folder}: no frame of the listed videos, e.g. {videos[0]}, is in it")
    frames = FileImages(folder, paths)
    number_of = {video: number for number, video in enumerate(videos)}
    people = [video.partition("/")[0] for video in videos]
    person_of = {person: number for number, person in enumerate(dict.fromkeys(people))}
    subjects = np.array([person_of[person] for person in people], np.int64)
    left = np.array([number_of[video] for video in splits.left], np.int64)
    right = np.array([number_of[video] for video in splits.right], np.int64)
    empty = np.setdiff1d(np.arange(len(videos)), template)
    image = np.concatenate([np.arange(len(paths)), np.full(len(empty), -1)]).astype(np.int64)
    entries = np.concatenate([template, empty]).astype(np.int64)
    notes = [
        *([NOT_ALIGNED] if folder.name == WHOLE_FRAMES else []),
        f"frames of {folder.name}, pairs of {listing.name}",
        only_resized(root),
    ]
    if listing.name == CORRECTED and splits.columns > 5:
        notes.append(f"labels are column 6 of {CORRECTED}: that it is the corrected one is unsure")
    if splits.changed:
        notes.append(f"{splits.changed} labels changed by the errata")
    return Benchmark(
        name=name,
        version=f"YTF by {listing.name}, 10 splits; reading 1",
        images=ImageSet(paths, frames, stamp=frames.stamp),
        templates=Templates(videos, subjects, image, entries, entries),
        pairs=(PairTask("videos", left, right, splits.same, splits.fold, MEASURES),),
        notes=(*notes, *contradictions(subjects, left, right, splits.same)),
    )


def _read_splits(path: Path) -> _Splits:
    """Rows ``split, pair, Name/video, Name/video, is same``, and in the errata a sixth, corrected label."""
    lines = read_lines(path)
    header = lines[0].split(",") if lines else []
    if len(header) < 5 or header[0].strip().isdecimal():
        raise UserError(f"{path}:1: expected a header of at least five names with commas between")
    left: list[str] = []
    right: list[str] = []
    same: list[bool] = []
    fold: list[int] = []
    pair: list[int] = []
    changed, columns = 0, len(lines[1].split(",")) if len(lines) > 1 else 0
    for number, line in enumerate(lines[1:], start=2):
        where, cells = f"{path}:{number}", [cell.strip() for cell in line.split(",")]
        if len(cells) != columns or columns < 5:
            raise UserError(
                f"{where}: {line[:80]!r}: expected split, pair, Name/video, Name/video, 0 or 1"
            )
        fold.append(whole_number(cells[0], where, "a split") - 1)
        pair.append(whole_number(cells[1], where, "a pair"))
        for cell, column in zip(cells[2:4], (left, right), strict=True):
            if VIDEO.fullmatch(cell) is None or cell.startswith("."):
                raise UserError(f"{where}: {cell[:80]!r}: expected Name/video")
            column.append(cell)
        if left[-1] == right[-1]:
            raise UserError(f"{where}: {left[-1]}: a video with itself")
        labels = cells[4:6] if path.name == CORRECTED else cells[4:5]
        if not set(labels) <= {"0", "1"}:
            raise UserError(f"{where}: label {labels[-1][:40]!r}: expected 0 or 1")
        same.append(labels[-1] == "1")
        changed += labels[0] != labels[-1]
    folds = np.array(fold, np.int64)
    _check_splits(path, folds)
    if path.name == LIST:  # whether the errata count anew is not known
        _check_numbers(path, np.array(pair, np.int64))
    if all(same) or not any(same):
        raise UserError(f"{path}: all its pairs are of one kind: both are needed")
    return _Splits(left, right, np.array(same, bool), folds, changed, columns)


def _check_splits(path: Path, fold: np.ndarray) -> None:
    size = len(fold) // FOLDS
    if not size or len(fold) % FOLDS:
        raise UserError(f"{path}: {len(fold)} pairs cannot be {FOLDS} splits of equal size")
    wrong = np.flatnonzero(fold != np.arange(len(fold)) // size)
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"{path}:{row + 2}: split {fold[row] + 1}: expected {row // size + 1}, "
            f"with {size} pairs in each of {FOLDS}"
        )


def _check_numbers(path: Path, pair: np.ndarray) -> None:
    """Pairs are counted from 1 in each split."""
    expected = np.arange(len(pair)) % (len(pair) // FOLDS) + 1
    wrong = np.flatnonzero(pair != expected)
    if len(wrong):
        row = int(wrong[0])
        raise UserError(f"{path}:{row + 2}: pair {pair[row]}: expected {expected[row]}")


def _find_frames(folder: Path, videos: list[str]) -> tuple[list[str], np.ndarray]:
    """(paths of all frames, video by video, each in the order of its numbers; [N] place of the video)."""
    prefix = FRAMES[folder.name]
    paths: list[str] = []
    template: list[int] = []
    people = {entry.name for entry in folder.iterdir()}
    for place, video in enumerate(videos):
        person, _, number = video.partition("/")
        if person not in people:  # names from a list are looked up, never opened
            continue
        frames = _frames_of(folder / person / number, prefix + number)
        paths += [f"{video}/{frame}" for frame in frames]
        template += [place] * len(frames)
    return paths, np.array(template, np.int64)


def _frames_of(folder: Path, stem: str) -> list[str]:
    """The files ``<stem>.<number>.jpg`` of a video by number; none where there is no such folder."""
    if not folder.is_dir():
        return []
    shape = re.compile(re.escape(stem) + r"\.(\d{1,9})\.\w+", re.ASCII)
    found: dict[int, str] = {}
    for file in os.listdir(folder):
        if not is_image_name(file):
            continue
        match = shape.fullmatch(file)
        if match is None:
            raise UserError(f"{folder / file}: expected frames called {stem}.<number>.jpg")
        if int(match[1]) in found:
            raise UserError(f"{folder / file}: a second frame {int(match[1])}: keep one")
        found[int(match[1])] = file
    return [found[number] for number in sorted(found)]
