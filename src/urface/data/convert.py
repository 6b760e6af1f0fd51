"""A data set from one container into another: the ending of the target says which."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from urface.atomic import atomic_folder
from urface.data.decode import decode_image, encode_png
from urface.data.image_header import read_header
from urface.data.manifest import MANIFEST_NAMES, write_manifest
from urface.data.record_write import RecordLayout, write_records
from urface.data.records import image_ending
from urface.data.shards import ShardPattern, is_pattern
from urface.data.source import FaceSource
from urface.data.tar_write import Member, TarWriter
from urface.types import UserError

TARGETS = (
    "a folder, .tar, faces-{000..N}.tar, .rec, or a manifest (.parquet, .csv) for a new folder"
)
SAME_ENDING = {".jpg": (".jpg", ".jpeg"), ".png": (".png",), ".webp": (".webp",)}


class Converted(NamedTuple):
    """Images and people written, files of the target, and what the target could not hold, a line each."""

    images: int
    people: int
    files: list[Path]
    notes: list[str]


class Item(NamedTuple):
    """An image on its way: its place in the source, its key in the target, its bytes."""

    place: int
    key: str
    data: bytes


def convert(
    source: FaceSource,
    target: str | Path,
    layout: RecordLayout = "classic",
    shard_bytes: int = 1 << 30,
    progress: bool = True,
) -> Converted:
    """Write ``source`` as ``target``, whole or not at all; nothing that exists is written over.

    Images keep their bytes. Encoded anew, as PNG and said in the notes, are only images in CelebA's
    frame, which are cut to the template, and WebP for a ``.rec``, whose readers do not know it. Labels
    and variation columns go into a manifest where there is one to hold (a folder or tar has one where it
    needs one); a ``.rec`` holds numbers for people and no columns. ``shard_bytes`` bounds a numbered tar.
    Raises UserError for another ending, and as the reader of ``source`` and the writers do.
    """
    place = Path(target)
    ending = place.suffix.lower()
    if shard_bytes < 1:
        raise UserError(f"a shard of {shard_bytes} bytes holds nothing")
    if is_pattern(target):
        return _to_tars(source, ShardPattern(str(target)), shard_bytes, progress)
    if ending == ".tar":
        return _to_tars(source, place, None, progress)
    if ending == ".rec":
        return _to_records(source, place, layout, progress)
    if ending in (".parquet", ".csv"):
        return _to_folder(source, place.parent, place.name, progress)
    if ending and not place.is_dir():
        raise UserError(f"{place}: a target must be {TARGETS}")
    return _to_folder(source, place, MANIFEST_NAMES[0] if _needs_table(source) else "", progress)


def _needs_table(source: FaceSource) -> bool:
    """Whether folders named by identity would lose something: columns, or who is where."""
    return bool(source.variation_names) or any(
        key.count("/") != 1 or key.partition("/")[0] != source.identities[label]
        for key, label in zip(source.keys, source.labels, strict=True)
    )


class _Items:
    """The images of a source in an order; ``anew`` counts those that had to be encoded again."""

    def __init__(self, source: FaceSource, order: np.ndarray, webp: bool, progress: bool) -> None:
        self.source, self.order, self.webp, self.progress = source, order, webp, progress
        self.anew = 0
        self.keys: list[str] = []

    def __iter__(self) -> Iterator[Item]:
        taken = set(self.source.keys)
        bar = tqdm(self.order.tolist(), desc="images", unit="", disable=not self.progress)
        for place in bar:
            data = self._bytes(place)
            key = self.source.keys[place]
            ending = image_ending(data) or ".jpg"
            stem, dot, last = key.rpartition(".")
            if (dot + last).lower() not in SAME_ENDING[ending]:
                key = (stem or key) + ending
                if key in taken:
                    raise UserError(f"{self.source.name}: two images would be named {key}")
                taken.add(key)
            self.keys.append(key)
            yield Item(place, key, data)

    def _bytes(self, place: int) -> bytes:
        source = self.source
        if source.celeba_frame is not None and source.celeba_frame[place]:
            self.anew += 1
            return encode_png(source.image(place))
        data = source.read(place)
        if not self.webp and data[:4] == b"RIFF" and read_header(data).format == "WebP":
            self.anew += 1
            return encode_png(decode_image(data, name=source.keys[place]))
        return data

    def notes(self) -> list[str]:
        """What to say of them."""
        return [f"{self.anew:,} images were encoded anew, as PNG"] if self.anew else []


def _in_order(source: FaceSource, progress: bool) -> _Items:
    return _Items(source, np.arange(len(source)), webp=True, progress=progress)


def _to_folder(source: FaceSource, folder: Path, table: str, progress: bool) -> Converted:
    items = _in_order(source, progress)
    with atomic_folder(folder) as new:
        for item in items:
            path = new / item.key
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "xb") as out:
                out.write(item.data)
        if table:
            _write_table(new / table, source, items.keys, range(len(source)))
    return Converted(len(source), len(source.identities), [folder], items.notes())


def _write_table(path: Path, source: FaceSource, keys: list[str], places: range) -> None:
    people = [source.identities[label] for label in source.labels[places.start : places.stop]]
    values = source.variations[places.start : places.stop]
    write_manifest(path, keys, people, source.variation_names, values)


def _to_tars(
    source: FaceSource, target: Path | ShardPattern, limit: int | None, progress: bool
) -> Converted:
    """One tar, or shards, which also have webdataset's ``.cls`` beside each image: the person's number."""
    items = _in_order(source, progress)
    table = _needs_table(source)
    shards = isinstance(target, ShardPattern)
    first, stems = 0, set()
    paths = target.to_write() if isinstance(target, ShardPattern) else iter([target])
    with TarWriter(paths, limit) as tars:
        for item in items:
            label = str(source.labels[item.place]).encode()
            stem = item.key.rpartition(".")[0]
            if shards and stem in stems:
                raise UserError(
                    f"{source.name}: two images are named {stem} but for their ending, which webdataset's "
                    "shards cannot hold: rename one"
                )
            stems.add(stem)
            beside = ((f"{stem}.cls", label),) if shards else ()
            member = Member(item.key, item.data, beside)
            if tars.full_with(member):
                if table and item.place:
                    tars.add(_table_member(source, items.keys, range(first, item.place)))
                first = item.place
                tars.next_tar()
            tars.add(member)
        if table:
            tars.add(_table_member(source, items.keys, range(first, len(source))))
    return Converted(len(source), len(source.identities), tars.written, items.notes())


def _table_member(source: FaceSource, keys: list[str], places: range) -> Member:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MANIFEST_NAMES[0]
        _write_table(path, source, keys[places.start : places.stop], places)
        return Member(MANIFEST_NAMES[0], path.read_bytes())


def _to_records(
    source: FaceSource, target: Path, layout: RecordLayout, progress: bool
) -> Converted:
    order = np.argsort(source.labels, kind="stable")  # the classic layout needs people together
    items = _Items(source, order, webp=False, progress=progress)
    images = ((int(source.labels[item.place]), item.data) for item in items)
    done = write_records(target, images, layout)
    notes = items.notes()
    if any(
        not (name.isascii() and name.isdecimal() and int(name) == label)
        for label, name in enumerate(source.identities)
    ):
        notes.append(f"names of people are not kept: they are numbers 0 to {done.identities - 1:,}")
    if source.variation_names:
        notes.append(f"columns are not kept: {', '.join(source.variation_names)}")
    return Converted(done.images, done.identities, [target], notes)
