"""Walk a RecordIO set frame by frame, without its index and then against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from urface.data.image_header import DecodeError
from urface.data.record_frames import Extent, read_extent
from urface.data.record_source import Layout, read_layout
from urface.data.record_write import PROPERTY
from urface.data.records import (
    HEAD_BYTES,
    HEADER_FLAG,
    RecordFile,
    open_records,
    whole_label,
)
from urface.types import UserError

MAX_NAMED = 100  # problems kept; a broken file of millions has millions
MAX_PROPERTY_BYTES = 4096


@dataclass
class RecordCheck:
    """What a walk found: records, images, identities, and ``problems``, one line each, ``count`` in all."""

    path: Path
    classic: bool = False
    records: int = 0
    images: int = 0
    identities: int = 0
    count: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        """Note one more problem."""
        self.count += 1
        if self.count <= MAX_NAMED:
            self.problems.append(problem)


def walk(
    descriptor: int, size: int, start: int = 0, head_bytes: int = HEAD_BYTES
) -> Iterator[Extent]:
    """The records from byte ``start`` on, one after the other; raises DecodeError at the first damage."""
    while start < size:
        extent = read_extent(descriptor, start, size, head_bytes)
        yield extent
        start = extent.end


def check_records(path: str | Path, progress: bool = True) -> RecordCheck:
    """Walk all frames of ``path``, then hold index, labels, identity records and ``property`` to them.

    Images are not decoded: `check_images` does that. After damage the walk goes on at the next offset
    that the index names. Raises UserError only where there is nothing to walk: no file or no index that
    can be read, for `repair_records` is what mends that.
    """
    file = open_records(path)
    found = RecordCheck(file.path, records=len(file))
    if _walk_frames(file, found, progress):
        try:
            layout = read_layout(file)
        except UserError as error:
            found.add(str(error))
        else:
            found.classic = layout.classic
            _check_labels(file, layout, found, progress)
    return found


def _walk_frames(file: RecordFile, found: RecordCheck, progress: bool) -> bool:
    """Whether the index points at exactly the frames that are there."""
    named = np.sort(file.offsets)
    start, sound, seen = 0, True, 0
    bar = tqdm(
        total=file.size,
        desc="frames",
        unit="B",
        unit_scale=True,
        disable=not progress,
        mininterval=0.5,
        leave=False,
    )
    with bar:
        while start < file.size:
            try:
                for extent in walk(file.descriptor, file.size, start, head_bytes=0):
                    start = extent.end
                    bar.update(extent.end - extent.start)
                    if seen < len(named) and named[seen] == extent.start:
                        seen += 1
                        continue
                    sound = False
                    while seen < len(named) and named[seen] < extent.end:
                        found.add(
                            f"{file.path}: the index names byte {named[seen]}, within a record"
                        )
                        seen += 1
                    found.add(f"{file.path}: the record at byte {extent.start} is not in the index")
            except (DecodeError, OSError) as error:
                sound = False
                reason = error.strerror if isinstance(error, OSError) else error
                found.add(f"{file.path}: at byte {start}: {reason}")
                seen = max(seen, int(np.searchsorted(named, start, side="right")))
                start = int(named[seen]) if seen < len(named) else file.size
    return sound


def _check_labels(file: RecordFile, layout: Layout, found: RecordCheck, progress: bool) -> None:
    labels = np.full(len(file), -1, np.int64)
    places = layout.images
    bar = tqdm(places.tolist(), desc="labels", unit=" images", disable=not progress, leave=False)
    for place in bar:
        try:
            head = file.head(place)
            labels[place] = whole_label(head.labels)
            if not head.ending:
                raise DecodeError("no image in it")
        except DecodeError as error:
            found.add(_named(file, place, error))
    found.images = len(places)
    found.identities = len(np.unique(labels[labels >= 0]))
    for place in layout.identities.tolist():
        try:
            _check_identity(file, place, layout, labels)
        except DecodeError as error:
            found.add(_named(file, place, error))
    if layout.classic and len(layout.identities) != found.identities:
        found.add(
            f"{file.path}: {len(layout.identities):,} identity records for "
            f"{found.identities:,} labels"
        )
    _check_property(file.path.with_name(PROPERTY), found)


def _named(file: RecordFile, place: int, error: DecodeError) -> str:
    """The error's line, which names the record already where reading it failed."""
    text = str(error)
    return text if text.startswith(str(file.path)) else str(file.error(place, error))


def _check_identity(file: RecordFile, place: int, layout: Layout, labels: np.ndarray) -> None:
    head = file.head(place)
    if len(head.labels) != HEADER_FLAG or head.ending:
        raise DecodeError("expected an identity record: two labels and no image")
    first, last = float(head.labels[0]), float(head.labels[1])
    inside = 1 <= first < last <= 1 + len(layout.images)  # NaN is not
    if not (inside and first == int(first) and last == int(last)):
        raise DecodeError(f"an identity of the records [{first:g}, {last:g}): not keys of images")
    theirs = np.unique(labels[int(first) : int(last)])  # classic keys are places
    if len(theirs) != 1:
        raise DecodeError(
            f"an identity of the records [{first:g}, {last:g}), whose labels differ: "
            f"{theirs[0]} and {theirs[1]}"
        )


def _check_property(path: Path, found: RecordCheck) -> None:
    """``property`` is advice to trainers; where it is there, it should be true."""
    try:
        with open(path, "rb") as file:
            lines = file.read(MAX_PROPERTY_BYTES).decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        found.add(f"{path}: cannot be read ({error.strerror})")
        return
    cells = lines[0].split(",") if lines else []
    if len(cells) != 3 or not all(cell.strip().isdecimal() for cell in cells):
        found.add(f"{path}:1: expected number of identities, height and width")
    elif int(cells[0]) != found.identities:
        found.add(f"{path}:1: {cells[0]} identities, but the images have {found.identities}")
    if len(lines) > 1 and lines[1].strip() not in ("", str(found.images)):
        found.add(f"{path}:2: {lines[1].strip()[:40]} images, but there are {found.images}")
