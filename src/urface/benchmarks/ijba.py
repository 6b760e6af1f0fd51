"""IJB-A in NIST's layout, 1:1 and 1:N: ten splits of csvs beside the images ``img`` and ``frame``.

``IJB-A_11_sets/splitN/verify_metadata_N.csv`` lists the templates and ``verify_comparisons_N.csv`` their
pairs, without labels; ``IJB-A_1N_sets/splitN/search_gallery_N.csv`` and ``search_probe_N.csv`` are the
searches.
``train_N.csv`` is not read: nothing is trained on a split.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from urface.benchmarks.benchmark import Benchmark, ImageSet, PairTask, SearchTask, Templates
from urface.benchmarks.columns import Column, Table, read_columns
from urface.benchmarks.face_crops import Warped, box_transforms, landmark_transforms, leads_out
from urface.benchmarks.template_rows import TemplateIds, no_row_twice, one_subject_each
from urface.template import TEMPLATE
from urface.types import UserError

SPLITS = 10
PAIR_MEASURES = ("tar@1e-3", "tar@1e-2")
SEARCH_MEASURES = ("rank1", "rank5", "tpir@0.01", "tpir@0.1")
BOX = ("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT")
LANDMARKS = ("RIGHT_EYE", "LEFT_EYE", "NOSE_BASE")  # the subject's right eye: left in the image
LANDMARK_AXES = tuple(f"{point}_{axis}" for point in LANDMARKS for axis in "XY")
# The template marks the tip of the nose; its base lies a quarter of the way from there to the mouth.
NOSE_BASE = 0.75 * TEMPLATE[2] + 0.25 * TEMPLATE[3:].mean(axis=0)
THREE_POINTS = np.stack([TEMPLATE[0], TEMPLATE[1], NOSE_BASE])
CLOSEST_EYES = 0.1  # in widths of the box: in a face seen from the side three points fix no roll
COLUMNS = (
    Column("TEMPLATE_ID", "whole"),
    Column("SUBJECT_ID", "whole"),
    Column("FILE", "text"),
    Column("MEDIA_ID", "whole"),
    *(Column(name, "real") for name in BOX),
    *(Column(name, "real or empty") for name in LANDMARK_AXES),
)
NOTES = (
    "faces with both eyes and the base of the nose given are aligned by these three, all others are cut "
    "out by their box with a margin: numbers of other aligners differ",
    "a template with no usable image is a failure and stays in the denominator",
)


class Sheet(NamedTuple):
    """The rows of one metadata csv: its templates, their subjects, and for each row its face."""

    table: Table
    ids: TemplateIds
    subjects: np.ndarray
    place: np.ndarray
    keys: list[str]
    transforms: np.ndarray


def read(root: Path, name: str) -> Benchmark:
    """``name`` is ijba or ijba_1n. Images lie in ``root`` or in ``root/images``.

    A row whose image has no file is a counted failure. Raises UserError with file and line for everything
    else that does not fit: a missing split, a pair of an unknown template, a template with two subjects.
    """
    gather = _Gather(root)
    splits = range(1, SPLITS + 1)
    pairs: tuple[PairTask, ...] = ()
    searches: tuple[SearchTask, ...] = ()
    if name == "ijba":
        pairs = tuple(_pairs(root, split, gather) for split in splits)
    else:
        searches = tuple(_search(root, split, gather) for split in splits)
    return Benchmark(
        name,
        "NIST's ten splits, reading 1",
        gather.images(),
        gather.templates(),
        pairs=pairs,
        searches=searches,
        pooling="media",
        notes=NOTES,
    )


class _Gather:
    """All sheets one after another: their templates apart, their faces shared."""

    def __init__(self, root: Path) -> None:
        self.root = root / "images" if (root / "images").is_dir() else root
        self.place_of: dict[str, int] = {}
        self.transforms: list[np.ndarray] = []
        self.names: list[str] = []
        self.columns: list[list[np.ndarray]] = [[], [], [], []]

    def add(self, sheet: Sheet, prefix: str) -> int:
        """Take in the templates of a sheet; the place of its first one."""
        start = len(self.names)
        image = np.empty(len(sheet.table), np.int64)
        for row, key in enumerate(sheet.keys):
            image[row] = self.place_of.setdefault(key, len(self.place_of))
            if image[row] == len(self.transforms):
                self.transforms.append(sheet.transforms[row])
        no_row_twice(sheet.table, image, sheet.place, "this face of this template")
        self.names += [f"{prefix}/{number}" for number in sheet.ids.numbers]
        media = sheet.table.whole["MEDIA_ID"]
        new = (sheet.subjects, image, sheet.place.astype(np.int64) + start, media)
        for column, values in zip(self.columns, new, strict=True):
            column.append(values)
        return start

    def images(self) -> ImageSet:
        keys = list(self.place_of)
        files = [key.rpartition("@")[0] for key in keys]
        faces = Warped(self.root, files, np.array(self.transforms))
        return ImageSet(keys, faces, stamp=faces.stamp)

    def templates(self) -> Templates:
        return Templates(self.names, *(np.concatenate(column) for column in self.columns))


def _pairs(root: Path, split: int, gather: _Gather) -> PairTask:
    folder = _split_folder(root / "IJB-A_11_sets", split)
    sheet = _read_sheet(folder / f"verify_metadata_{split}.csv")
    start = gather.add(sheet, f"split{split}")
    pairs = read_columns(
        folder / f"verify_comparisons_{split}.csv",
        [Column("template 1", "whole"), Column("template 2", "whole")],
        ",",
    )
    unknown = f"is not in verify_metadata_{split}.csv"
    left, right = (
        sheet.ids.places(pairs, f"template {side}", unknown).astype(np.int64) for side in (1, 2)
    )
    pairs.refuse(left == right, "a template with itself")
    return PairTask(
        f"split {split}",
        left + start,
        right + start,
        sheet.subjects[left] == sheet.subjects[right],
        np.zeros(len(left), np.int64),
        PAIR_MEASURES,
        group="ten splits",
    )


def _search(root: Path, split: int, gather: _Gather) -> SearchTask:
    folder = _split_folder(root / "IJB-A_1N_sets", split)
    gallery, probe = (
        _read_sheet(folder / f"search_{part}_{split}.csv") for part in ("gallery", "probe")
    )
    both = np.intersect1d(gallery.ids.numbers, probe.ids.numbers)
    if len(both):
        bad = np.isin(probe.table.whole["TEMPLATE_ID"], both)
        probe.table.refuse(bad, f"template {both[0]} is in the gallery too")
    first = gather.add(gallery, f"split{split}")
    second = gather.add(probe, f"split{split}")
    return SearchTask(
        f"split {split}",
        np.arange(first, first + len(gallery.ids)),
        np.arange(second, second + len(probe.ids)),
        SEARCH_MEASURES,
        group="ten splits",
    )


def _split_folder(sets: Path, split: int) -> Path:
    folder = sets / f"split{split}"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: the protocol has splits 1 to {SPLITS}")
    return folder


def _read_sheet(path: Path) -> Sheet:
    table = read_columns(path, COLUMNS, ",", "names")
    files, file = table.text["FILE"]
    table.refuse(
        np.array([leads_out(f) for f in files])[file], "FILE leads out of the data's folder"
    )
    box = np.stack([table.real[name] for name in BOX], axis=1)
    table.refuse(box[:, 2:].min(axis=1) < 1, "the face's box is smaller than a pixel")
    table.refuse(np.abs(box).max(axis=1) > 1e6, "the face's box is a million pixels large")
    ids = TemplateIds(table.whole["TEMPLATE_ID"])
    place = ids.places(table, "TEMPLATE_ID")
    subjects = one_subject_each(table, place, "SUBJECT_ID", len(ids))
    # One file may show several people: a face is a file and a box in it.
    keys = [
        f"{files[f]}@{x:.9g},{y:.9g},{w:.9g},{h:.9g}"
        for f, (x, y, w, h) in zip(file, box, strict=True)
    ]
    return Sheet(table, ids, subjects, place, keys, _transforms(table, box))


def _transforms(table: Table, box: np.ndarray) -> np.ndarray:
    """[R, 2, 3]: to the aligned crop, by landmarks where a row gives all three, else by its box."""
    found = box_transforms(box)
    points = np.stack([table.real[name] for name in LANDMARK_AXES], axis=1).reshape(-1, 3, 2)
    points[(points == 0).all(axis=2)] = np.nan  # (0, 0) stands for a point that is not seen
    apart = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
    given = np.isfinite(points).all(axis=(1, 2)) & (np.abs(points) < 1e6).all(axis=(1, 2))
    given &= apart > CLOSEST_EYES * box[:, 2]
    found[given] = landmark_transforms(points[given], THREE_POINTS)
    return found
