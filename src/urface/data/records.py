"""InsightFace's RecordIO set, ``train.rec`` beside ``train.idx``, read at random without MXNet."""

from __future__ import annotations

import os
import struct
import weakref
from pathlib import Path
from typing import NamedTuple

import numpy as np

from urface.data.image_header import PNG_SIGNATURE, DecodeError
from urface.data.record_frames import MAGIC, MAX_LABELS, read_extent, read_payload
from urface.data.record_index import read_index
from urface.types import UserError

HEADER = struct.Struct("<IfQQ")
FRONT = struct.Struct("<III")  # magic number, length and number of labels
USUAL_BYTES = 16_384
EXACT = 1 << 24  # from here on float32 labels are no longer every whole number
HEADER_KEY = 0
HEADER_FLAG = 2


class Record(NamedTuple):
    """``labels`` [L] float32, at least one; the numbers ``id`` and ``id2``; the encoded image or b""."""

    labels: np.ndarray
    id: int
    id2: int
    image: bytes


class RecordHead(NamedTuple):
    """What the first bytes of a record say: its labels, its id, and the ending its image would have.

    ``ending`` is "" where no image follows, and ".jpg" where the bytes are of no known format: they
    are refused, with their name, when they are decoded.
    """

    labels: np.ndarray
    id: int
    ending: str


HEAD_BYTES = HEADER.size + 4 * 2 + 12  # two labels and an image's signature


class RecordFile:
    """The N records of ``path``, whose places are those of ``keys`` [N] int64, ascending.

    Holds two arrays and a descriptor, whatever N is. Safe to use from threads and forked workers; a
    spawned worker opens its own descriptor.
    """

    def __init__(self, path: Path, keys: np.ndarray, offsets: np.ndarray) -> None:
        self.path = path
        self.keys = keys
        self.offsets = offsets
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)
        self.size = os.fstat(self.descriptor).st_size

    def __reduce__(self) -> tuple[object, ...]:
        return RecordFile, (self.path, self.keys, self.offsets)

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, place: int) -> Record:
        """The record at ``place``. Raises DecodeError naming file, key and offset where it is damaged."""
        offset = int(self.offsets[place])
        try:
            return parse_record(read_payload(self.descriptor, offset))
        except (DecodeError, OSError) as error:
            raise self.error(place, error) from None

    def image(self, place: int) -> bytes:
        """The image of ``read`` by one call of the system where the record is of usual size."""
        data = os.pread(self.descriptor, USUAL_BYTES, int(self.offsets[place]))
        if len(data) >= FRONT.size:
            magic, length, labels = FRONT.unpack_from(data)
            start, end = FRONT.size + 20 + 4 * labels, 8 + length
            # A part that is not whole has a bit in the length that makes it too long for this.
            if magic == MAGIC and start <= end <= len(data):
                return data[start:end]
        return self.read(place).image

    def head(self, place: int) -> RecordHead:
        """Labels, id and kind of the record at ``place``, without reading its image."""
        offset = int(self.offsets[place])
        try:
            head = read_extent(self.descriptor, offset, self.size, HEAD_BYTES).head
            if HEADER.size + 4 * _label_count(head) + 12 > HEAD_BYTES == len(head):
                # More labels than the usual: read as much as they take.
                wanted = HEADER.size + 4 * _label_count(head) + 12
                head = read_extent(self.descriptor, offset, self.size, wanted).head
            return parse_head(head)
        except (DecodeError, OSError) as error:
            raise self.error(place, error) from None

    def error(self, place: int, reason: object) -> DecodeError:
        """``reason`` with the file, key and offset of the record at ``place``."""
        if isinstance(reason, OSError):
            reason = f"cannot be read ({reason.strerror})"
        where = f"{self.path}: record {self.keys[place]} at byte {self.offsets[place]}"
        return DecodeError(f"{where}: {reason}")


def open_records(path: str | Path) -> RecordFile:
    """The RecordIO set ``path`` with the index beside it. Raises UserError where either is unusable."""
    file = Path(path)
    try:
        size = file.stat().st_size
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    index = file.with_suffix(".idx")
    if not index.exists():
        raise UserError(f"{index}: not there: `urface data repair {file}` builds it")
    return RecordFile(file, *read_index(index, size))


def parse_record(payload: bytes) -> Record:
    """The parts of a record's bytes. Raises DecodeError, without a name, where they are too few."""
    labels, start = _labels(payload)
    _, _, number, number2 = HEADER.unpack_from(payload)
    return Record(labels, number, number2, payload[start:])


def parse_head(head: bytes) -> RecordHead:
    """What ``head``, the first bytes of a record, says. Raises DecodeError as ``parse_record`` does."""
    labels, start = _labels(head)
    number = HEADER.unpack_from(head)[2]
    return RecordHead(labels, number, image_ending(head[start:]))


def image_ending(data: bytes) -> str:
    """The ending of a file of ``data``, of which the first 12 bytes are enough; "" where it is empty."""
    if data[:8] == PNG_SIGNATURE:
        return ".png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return ".jpg" if data else ""


def whole_label(labels: np.ndarray) -> int:
    """The identity that ``labels`` name: the first. Raises DecodeError where it is no exact number."""
    label = float(labels[0])
    if not 0 <= label < EXACT or label != int(label):
        raise DecodeError(f"label {label:g}: expected a whole number from 0 to {EXACT - 1:,}")
    return int(label)


def _label_count(payload: bytes) -> int:
    if len(payload) < HEADER.size:
        raise DecodeError(f"a record of {len(payload)} bytes: it ends within its labels")
    return int.from_bytes(payload[:4], "little")


def _labels(payload: bytes) -> tuple[np.ndarray, int]:
    """The labels and the place of the image."""
    count = _label_count(payload)
    if count == 0:
        return np.frombuffer(payload, "<f4", 1, 4), HEADER.size
    if count > MAX_LABELS:
        raise DecodeError(f"{count:,} labels: at most {MAX_LABELS:,} are read")
    start = HEADER.size + 4 * count
    if len(payload) < start:
        raise DecodeError(f"a record of {len(payload)} bytes: it ends within its {count} labels")
    return np.frombuffer(payload, "<f4", count, HEADER.size), start
