"""Write a RecordIO set as InsightFace's trainers read it: ``.rec``, ``.idx`` and ``property``."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TextIO

import numpy as np

from urface.atomic import atomic_path
from urface.data.image_header import read_header
from urface.data.record_frames import MAX_RECORD_BYTES, write_frames
from urface.data.records import EXACT, HEADER, HEADER_FLAG, HEADER_KEY, Record, whole_label
from urface.types import UserError

RecordLayout = Literal["classic", "header-less"]
PROPERTY = "property"


# Label, encoded image, and the record's bytes where they are to be kept but for the key.
Item = tuple[int, bytes, bytes | None]


class Written(NamedTuple):
    """How many images and identities were written."""

    images: int
    identities: int


def write_records(
    path: str | Path, images: Iterable[tuple[int, bytes]], layout: RecordLayout = "classic"
) -> Written:
    """Write (label, encoded image) pairs as ``path`` (``.rec``), the ``.idx`` and ``property`` beside it.

    Classic: images have the keys 1.., record 0 their counts, and a record for each identity the range
    of its keys; the images of an identity must follow each other. Header-less: keys 0.., nothing else.
    The three files appear whole, the ``.rec`` last, or none does. Labels are stored as float32: raises
    UserError for one of 2^24 or more, in the classic layout also for as many records; for an image that
    is no JPEG or PNG, a set without images, and where one of the files exists already.
    """
    return _write(path, ((label, data, None) for label, data in images), layout)


def write_raw(path: str | Path, records: Iterable[tuple[Record, bytes]]) -> Written:
    """``write_records`` in the classic layout of image records as they were, further labels kept."""
    return _write(path, ((whole_label(r.labels), r.image, p) for r, p in records), "classic")


def _write(path: str | Path, images: Iterable[Item], layout: RecordLayout) -> Written:
    file = Path(path)
    index, facts = file.with_suffix(".idx"), file.with_name(PROPERTY)
    refuse_taken(file, index, facts)
    with ExitStack() as stack:
        # The .rec is renamed last, since the set is there once it is.
        temporaries = [stack.enter_context(atomic_path(name)) for name in (file, index, facts)]
        with open(temporaries[0], "wb") as rec, open(temporaries[1], "w", encoding="ascii") as idx:
            writer = _Writer(rec, idx, file)
            writer.write_images(images, first_key=1 if layout == "classic" else 0)
            if layout == "classic":
                writer.write_identities()
        labels, (height, width) = len(writer.ranges), writer.size
        temporaries[2].write_text(f"{labels},{height},{width}\n{writer.images}\n", encoding="ascii")
    return Written(writer.images, labels)


def refuse_taken(file: Path, *beside: Path) -> None:
    """Raise UserError where ``file`` does not end in .rec, or it or one of those ``beside`` is there."""
    if file.suffix != ".rec":
        raise UserError(f"{file}: a RecordIO set ends in .rec")
    for taken in (file, *beside):
        if taken.exists():
            raise UserError(f"{taken}: exists already: remove it or write to another folder")


class _Writer:
    """The two files being written; ``ranges`` has the first and last key of each label."""

    def __init__(self, rec: BinaryIO, idx: TextIO, file: Path) -> None:
        self.rec, self.idx, self.file = rec, idx, file
        self.offset = 0
        self.images = 0
        self.ranges: dict[int, tuple[int, int]] = {}
        self.size = (0, 0)

    def write_images(self, images: Iterable[Item], first_key: int) -> None:
        classic = first_key == 1
        last = -1
        for label, data, payload in images:
            key = first_key + self.images
            if not 0 <= label < EXACT:
                raise UserError(
                    f"{self.file}: label {label}: labels are float32, exact from 0 to {EXACT - 1:,}"
                )
            if label != last and label in self.ranges and classic:
                raise UserError(
                    f"{self.file}: the images of label {label} do not follow each other, as the "
                    "classic layout needs: sort them or write the header-less one"
                )
            last = label
            self._check_image(key, data)
            if payload is None:
                payload = HEADER.pack(0, label, key, 0) + data
            else:
                payload = payload[:8] + key.to_bytes(8, "little") + payload[16:]
            self._record(key, payload)
            self.ranges[label] = (self.ranges.get(label, (key, 0))[0], key)
            self.images += 1
            if classic and 1 + self.images + len(self.ranges) >= EXACT:
                raise UserError(
                    f"{self.file}: {EXACT:,} records or more: the classic layout counts them in "
                    "float32: write the header-less one"
                )
        if not self.images:
            raise UserError(f"{self.file}: no image to write")

    def _check_image(self, key: int, data: bytes) -> None:
        header = read_header(data)
        if header.format not in ("JPEG", "PNG"):
            raise UserError(
                f"{self.file}: image {key} is {header.format}, readers of RecordIO know JPEG and PNG"
            )
        if len(data) + HEADER.size > MAX_RECORD_BYTES:
            raise UserError(f"{self.file}: image {key} has {len(data):,} bytes: too many")
        if not self.images:
            self.size = (header.height, header.width)

    def write_identities(self) -> None:
        first = 1 + self.images
        self._labels_only(HEADER_KEY, first, first + len(self.ranges))
        for number, (begin, end) in enumerate(self.ranges.values()):
            self._labels_only(first + number, begin, end + 1)

    def _labels_only(self, key: int, *labels: float) -> None:
        values = np.array(labels, "<f4").tobytes()
        self._record(key, HEADER.pack(HEADER_FLAG, 0.0, key, 0) + values)

    def _record(self, key: int, payload: bytes) -> None:
        self.idx.write(f"{key}\t{self.offset}\n")
        self.offset += write_frames(self.rec, payload)
