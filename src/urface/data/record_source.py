"""A RecordIO set as a source of faces: which layout it has, whose each image is, how images are named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from urface.data.file_stamp import file_stamp
from urface.data.records import (
    EXACT,
    HEADER_FLAG,
    HEADER_KEY,
    RecordFile,
    RecordHead,
    open_records,
    whole_label,
)
from urface.data.source import FaceSource, build_source
from urface.data.storage import block_numbers
from urface.types import UserError

PATIENCE = 20_000  # images whose labels are read before a progress bar is worth its line
ENDINGS = (".jpg", ".png", ".webp")


class Layout(NamedTuple):
    """``images`` and ``identities``: places of the image records and of the identity records.

    ``classic``: record 0 holds counts and identity records follow the images; without it every record
    is an image and there are no identity records.
    """

    classic: bool
    images: np.ndarray
    identities: np.ndarray


@dataclass(frozen=True)
class RecordImages:
    """Reads image ``i`` as that of the record at place ``places[i]``."""

    file: RecordFile
    places: np.ndarray

    def __call__(self, index: int) -> bytes:
        return self.file.image(int(self.places[index]))

    def where(self, index: int) -> tuple[str, int]:
        return str(self.file.path), int(self.file.offsets[self.places[index]])

    def blocks(self) -> np.ndarray:
        return block_numbers(self.file.offsets[self.places])

    def stamp(self, index: int) -> bytes:
        return file_stamp(self.file.path) + b" %d" % int(self.file.offsets[self.places[index]])

    def narrowed(self, indices: np.ndarray) -> RecordImages:
        places = self.places[indices]
        file = RecordFile(
            self.file.path.absolute(), self.file.keys[places], self.file.offsets[places]
        )
        return RecordImages(file, np.arange(len(places)))


def read_layout(file: RecordFile) -> Layout:
    """Which of the two layouts ``file`` has.

    Raises UserError where record 0 states counts that the keys do not have.
    """
    places = np.arange(len(file), dtype=np.int64)
    every_one = Layout(False, places, places[:0])
    if file.keys[0] != HEADER_KEY:
        return every_one
    head = file.head(0)
    if head.ending:
        return every_one
    where = f"{file.path}: record 0 at byte {file.offsets[0]}"
    images, total = (
        (float(head.labels[0]), float(head.labels[1]))
        if len(head.labels) == HEADER_FLAG
        else (0.0, 0.0)
    )
    if not (1 < images <= total < np.inf and images == int(images) and total == int(total)):
        raise UserError(f"{where}: neither an image nor the two counts of the classic layout")
    if total >= EXACT:
        raise UserError(f"{where}: its counts are past 2^24, where float32 is not exact")
    if len(file) != total or file.keys[-1] != total - 1:
        raise UserError(
            f"{where}: {int(total):,} records promised, keys 0 to {int(total) - 1:,}, but the index has "
            f"{len(file):,} up to {file.keys[-1]:,}: mend it with `urface data repair`"
        )
    return Layout(True, places[1 : int(images)], places[int(images) :])


def read_records(path: str | Path, progress: bool = True) -> FaceSource:
    """The images of the RecordIO set ``path``, identities and images named by their numbers.

    Image ``000012/0000345.jpg`` is record 345 of identity 12; the zeros make the order of names that of
    numbers. Reads every label once, and holds a name for each image: some 150 bytes. ``RecordFile``
    alone takes 16. Raises UserError for an index, a layout or a record that is not as it must be.
    """
    file = open_records(path)
    places = read_layout(file).images
    if not len(places):
        raise UserError(f"{path}: no image in it")
    labels = np.empty(len(places), np.int64)
    endings = np.empty(len(places), np.uint8)
    for row, (place, head) in enumerate(heads(file, places, progress)):
        if not head.ending:
            raise file.error(place, "no image in it")
        try:
            labels[row] = whole_label(head.labels)
        except UserError as error:
            raise file.error(place, error) from None
        endings[row] = ENDINGS.index(head.ending)
    wide, long = len(str(labels.max())), len(str(file.keys[-1]))
    identities = [f"{label:0{wide}d}" for label in labels]
    keys = [
        f"{who}/{key:0{long}d}{ENDINGS[ending]}"
        for who, key, ending in zip(identities, file.keys[places], endings, strict=True)
    ]
    return build_source(str(path), keys, identities, RecordImages(file, places))


def heads(file: RecordFile, places: np.ndarray, progress: bool) -> Iterable[tuple[int, RecordHead]]:
    """Each of ``places`` with what its record's first bytes say."""
    quiet = not progress or len(places) < PATIENCE
    bar = tqdm(places.tolist(), desc="labels", unit=" images", disable=quiet, leave=False)
    for place in bar:
        yield place, file.head(place)
