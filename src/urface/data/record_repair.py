"""Mend a RecordIO set: build its index anew, leave off a tail that was cut; never in place."""

from __future__ import annotations

import os
import shutil
from array import array
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from urface.atomic import atomic_path
from urface.data.image_header import DecodeError
from urface.data.record_check import walk
from urface.data.record_frames import Truncated, read_payload
from urface.data.record_write import PROPERTY, Written, refuse_taken, write_raw
from urface.data.records import HEADER_KEY, parse_head, parse_record, whole_label
from urface.types import UserError

PIECE = 1 << 22


class Scan(NamedTuple):
    """The N whole records in file order.

    starts, ends  [N] int64 bytes
    ids           [N] uint64, what each record calls itself: its key, where the packer wrote it
    labels        [N] int64, -1 for a record without an image
    size          bytes of the file; more than the last of ``ends`` where its tail is cut
    """

    starts: np.ndarray
    ends: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    size: int

    @property
    def cut(self) -> int:
        """Bytes at the end that are no whole record."""
        return self.size - int(self.ends[-1])

    @property
    def classic(self) -> bool:
        """Whether it has records of counts and identities, or lost them: images that begin at key 1."""
        return bool((self.labels < 0).any()) or (self.ids.min() == 1 and self.numbered)

    @property
    def numbered(self) -> bool:
        """Whether the packer wrote a key of its own into every record."""
        return len(np.unique(self.ids)) == len(self.ids) and bool(self.ids.max() < 1 << 62)


class Repaired(NamedTuple):
    """What was written: ``path``, its records, and the bytes of the source left off."""

    path: Path
    records: int
    dropped: int


def repair_records(
    path: str | Path, target: str | Path | None = None, progress: bool = True
) -> Repaired:
    """Build the index of ``path`` from the ``.rec`` alone; with ``target``, a mended copy of the set.

    Without ``target`` only the missing ``.idx`` is written. With it, a new set is written there, whole
    or not at all: a tail that is cut is left off, and in the classic layout the counts and the identity
    records are made anew to fit. Raises UserError where the index or the target is there already, where
    the tail is cut and there is no target, and for damage in the middle, after which no record can be
    trusted to begin where one seems to.
    """
    file = Path(path)
    found = scan(file, progress)
    if target is None:
        if found.cut:
            raise UserError(
                f"{file}: its last {found.cut:,} bytes are no whole record: say with -o where the "
                "mended copy goes"
            )
        index = file.with_suffix(".idx")
        if index.exists():
            raise UserError(
                f"{index}: exists already: remove it to have it built anew, or say with -o where a "
                "mended copy goes"
            )
        with atomic_path(index) as temporary:
            _write_index(temporary, record_keys(found), found.starts)
        return Repaired(index, len(found.starts), 0)
    new = Path(target)
    if found.cut and found.classic:
        written = _rewritten(file, found, new, progress)
        return Repaired(new, 1 + written.images + written.identities, found.cut)
    _copy(file, found, new)
    return Repaired(new, len(found.starts), found.cut)


def scan(path: str | Path, progress: bool = True) -> Scan:
    """Every whole record of the ``.rec`` file ``path``, up to a tail that is cut.

    Raises UserError for damage before that, naming its byte, and where there is no whole record.
    """
    file = Path(path)
    starts, ends, ids, labels = array("q"), array("q"), array("Q"), array("q")
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    at = 0
    try:
        size = os.fstat(descriptor).st_size
        with tqdm(
            total=size, desc="frames", unit="B", unit_scale=True, disable=not progress, leave=False
        ) as bar:
            for extent in walk(descriptor, size):
                head = parse_head(extent.head)
                starts.append(extent.start)
                ends.append(extent.end)
                ids.append(head.id)
                labels.append(whole_label(head.labels) if head.ending else -1)
                at = extent.end
                bar.update(extent.end - extent.start)
    except Truncated:
        pass
    except (DecodeError, OSError) as error:
        raise UserError(f"{file}: at byte {at}: {error}: damaged, not only cut") from None
    finally:
        os.close(descriptor)
    if not starts:
        raise UserError(f"{file}: no whole record in it")
    columns = [np.frombuffer(c, t) for c, t in ((starts, "i8"), (ends, "i8"), (ids, "u8"))]
    return Scan(columns[0], columns[1], columns[2], np.frombuffer(labels, "i8"), size)


def record_keys(found: Scan) -> np.ndarray:
    """[N] int64, the key of each record: what it calls itself, or its number where ids repeat.

    Numbered by order, the first record without an image is record 0 and the others without one come
    after the images, as the classic layout has them wherever they lie in the file.
    """
    if found.numbered:
        return found.ids.astype(np.int64)
    bare = np.flatnonzero(found.labels < 0)
    order = np.concatenate([bare[:1], np.flatnonzero(found.labels >= 0), bare[1:]])
    keys = np.empty(len(order), np.int64)
    keys[order] = np.arange(len(order)) + HEADER_KEY
    return keys


def _write_index(path: Path, keys: np.ndarray, starts: np.ndarray) -> None:
    with open(path, "w", encoding="ascii") as out:
        for key, start in zip(keys, starts, strict=True):
            out.write(f"{key}\t{start}\n")


def _copy(file: Path, found: Scan, target: Path) -> None:
    """The whole records as they are, and their index."""
    refuse_taken(target, target.with_suffix(".idx"))
    with ExitStack() as stack:
        rec = stack.enter_context(atomic_path(target))
        index = stack.enter_context(atomic_path(target.with_suffix(".idx")))
        left = int(found.ends[-1])
        with open(file, "rb") as source, open(rec, "wb") as out:
            while left and (piece := source.read(min(left, PIECE))):
                out.write(piece)
                left -= len(piece)
        if left:
            raise UserError(f"{file}: it shrank while it was read")
        _write_index(index, record_keys(found), found.starts)
    facts = file.with_name(PROPERTY)
    if facts.exists() and not target.with_name(PROPERTY).exists() and not found.cut:
        with atomic_path(target.with_name(PROPERTY)) as temporary:
            shutil.copyfile(facts, temporary)


def _rewritten(file: Path, found: Scan, target: Path, progress: bool) -> Written:
    """The images of a classic set in their order, with counts and identity records that fit."""
    order = np.flatnonzero(found.labels >= 0)
    order = order[np.argsort(record_keys(found)[order], kind="stable")]
    descriptor = os.open(file, os.O_RDONLY)
    try:
        bar = tqdm(order.tolist(), desc="records", unit="", disable=not progress, leave=False)
        payloads = (read_payload(descriptor, int(found.starts[place])) for place in bar)
        return write_raw(target, ((parse_record(payload), payload) for payload in payloads))
    finally:
        os.close(descriptor)
