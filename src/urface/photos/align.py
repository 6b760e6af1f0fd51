"""`urface align`: folders and tars of photos to aligned crops and a manifest of every outcome."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from urface.atomic import atomic_path, make_folder
from urface.data.photo_table import FORMAT, SCHEMA, is_photo_table
from urface.data.source import FaceSource, stamp_of
from urface.photos.each_photo import (
    ALIGNED,
    Faces,
    Photo,
    Seen,
    crop_path,
    look_at_all,
    read_photo,
)
from urface.photos.journal import Done, Journal
from urface.photos.open import open_detector
from urface.types import UserError

Sources = Sequence[tuple[str, FaceSource]]
LONGEST = 200  # bytes of a file's name before its number and ending
OF_A_FACE = ("path", "face", "score", "box", "points")


def align_photos(
    sources: Sources,
    out: str | Path,
    manifest: str | Path | None = None,
    *,
    detector: str = "mediapipe",
    faces: Faces = "largest",
    keep_names: bool = False,
    jobs: int = 1,
    progress: bool = True,
) -> pa.Table:
    """Write the crops of all photos below ``out`` and the ``manifest`` (default: in ``out``); its table.

    A crop is called as its photo and the face's number, ``a.jpg-1.png``; with ``keep_names``, for the largest
    faces alone, as its photo with another ending, ``a.png``, which is what benchmarks' lists name.

    Photos that an earlier call finished and that have not changed since are not done again, whether it
    ended or was killed. Raises UserError where the manifest would lie where it cannot name the crops, is
    of other photos or settings, or the detector cannot be opened.
    """
    out = Path(out)
    file = out / "manifest.parquet" if manifest is None else Path(manifest)
    where = _folder_from(file, out)
    opened = open_detector(detector)
    settings = {"format": FORMAT, "detector": opened.name, "faces": faces, "crops": where}
    if keep_names:
        settings["names"] = "kept"
        if faces != "largest":
            raise UserError(
                "--keep-names is for the largest faces: several of a photo need numbers"
            )
    names = Names(out, where, keep_names)
    if jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {jobs}")
    stamps = _stamps(sources, names)
    before = _read_before(file, settings, stamps)
    make_folder(file.parent)
    make_folder(out)
    with Journal(file.with_name(file.name + ".journal"), settings) as journal:
        for photo in before.values():
            journal.done.setdefault(photo["photo"], photo)
        done = {
            key: photo
            for key, photo in journal.done.items()
            if stamps.get(key) == photo["stamp"] and _is_there(photo, file.parent)
        }
        left = _left(sources, names, done)
        bar = tqdm(
            look_at_all(left, detector, faces, jobs, opened),
            desc="aligning", unit=" photos", total=len(stamps), initial=len(done),
            disable=not progress,
        )  # fmt: skip
        for seen in bar:
            if seen.outcome != ALIGNED:
                tqdm.write(f"{seen.outcome}: {seen.key}: {seen.reason}", file=sys.stderr)
            photo = _done(seen, stamps[seen.key], names)
            journal.add(photo)
            done[seen.key] = photo
        if list(before) != sorted(done) or any(before[key] is not done[key] for key in done):
            table = _table(sources, done)
            _write(file, table.replace_schema_metadata(_metadata(settings)))
            # Not before: until then the manifest of before names them.
            for path in sorted(_crops(before, names) - _crops(done, names)):
                (file.parent / path).unlink(missing_ok=True)
        journal.remove()
    return pq.read_table(file)


def counts(table: pa.Table) -> Counter[str]:
    """How many photos had each outcome, and under "faces" how many crops there are."""
    first = dict(zip(table["photo"].to_pylist(), table["outcome"].to_pylist(), strict=True))
    return Counter(first.values()) + Counter(
        {"faces": sum(face > 0 for face in table["face"].to_pylist())}
    )


class Names(NamedTuple):
    """Where crops go: below ``out``, which the manifest calls ``where``; ``kept``: named as their photos."""

    out: Path
    where: str
    kept: bool

    def begin(self, key: str) -> Path:
        """Of the paths of the photo's crops."""
        return crop_begin(self.out, key, self.kept)

    def path(self, key: str, number: int) -> str:
        """Of a crop, as the manifest names it."""
        begin = crop_begin(Path(self.where), key, self.kept).as_posix()
        return crop_path(begin, number, not self.kept)


def crop_begin(out: Path, key: str, kept: bool = False) -> Path:
    """What the paths of the crops of the photo ``key`` begin with: its own name below ``out``; ``kept``:
    without its ending."""
    parts = [part for part in key.split("/") if part not in ("", ".", "..")]
    name = os.path.splitext(parts[-1])[0] if kept else parts[-1]
    if len(name.encode()) > LONGEST:
        name = f"{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    return out.joinpath(*parts[:-1], name)


def _folder_from(manifest: Path, out: Path) -> str:
    """The folder of crops as seen from the manifest, "" where it is the same."""
    if manifest.suffix.lower() != ".parquet":
        raise UserError(f"{manifest}: the manifest of photos is written as .parquet")
    where = os.path.relpath(out.resolve(), manifest.resolve().parent)
    if where.startswith(".."):
        raise UserError(
            f"{manifest}: a manifest names crops from its own folder down: put it in {out} or above it"
        )
    return "" if where == "." else where


def _stamps(sources: Sources, names: Names) -> dict[str, str]:
    """Photo -> what changes when its file does. Raises UserError where two would have the same crops."""
    stamps: dict[str, str] = {}
    crops: dict[Path, str] = {}
    for prefix, source in sources:
        stamp = stamp_of(source.read_bytes)
        for index, key in enumerate(source.keys):
            whole = prefix + key
            if not whole.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in whole):
                raise UserError(f"{whole!a}: its name is not UTF-8: rename the file")
            begin = names.begin(whole)
            if begin in crops:
                raise UserError(
                    f"{whole}: its crops would be those of {crops[begin]}: align one alone"
                )
            crops[begin] = whole
            stamps[whole] = stamp(index).decode("ascii", "replace") if stamp else ""
    return stamps


def _left(sources: Sources, names: Names, done: dict[str, Done]) -> Iterator[Photo]:
    for prefix, source in sources:
        for index, key in enumerate(source.keys):
            if prefix + key not in done:
                begin = names.begin(prefix + key)
                make_folder(begin.parent)
                yield read_photo(prefix, source, index, str(begin), not names.kept)


def _crops(photos: dict[str, Done], names: Names) -> set[str]:
    """Paths of crops as this module names them: a manifest that says others has no say over those files."""
    return {names.path(key, face["face"]) for key, photo in photos.items() for face in photo["all"]}


def _is_there(photo: Done, folder: Path) -> bool:
    return all((folder / face["path"]).is_file() for face in photo["all"])


def _done(seen: Seen, stamp: str, names: Names) -> Done:
    return {
        "photo": seen.key,
        "stamp": stamp,
        "outcome": seen.outcome,
        "reason": seen.reason,
        "rotation": seen.faces[0].rotation if seen.faces else 0,
        "faces": seen.faces[0].of if seen.faces else 0,
        "small": seen.small,
        "width": seen.size[0],
        "height": seen.size[1],
        "all": [
            {
                "path": names.path(seen.key, face.number),
                "face": face.number,
                "score": face.face.score,
                "box": face.face.box.tolist(),
                "points": face.face.points.ravel().tolist(),
            }
            for face in seen.faces
        ],
    }


NOTHING = {"path": None, "face": 0, "score": None, "box": None, "points": None}


def _table(sources: Sources, done: dict[str, Done]) -> pa.Table:
    """A row for each face and each photo without one, in the order of their names."""
    identity_of = {
        prefix + key: source.identities[label] or os.path.splitext(key)[0]
        for prefix, source in sources
        for key, label in zip(source.keys, source.labels, strict=True)
    }
    rows = [
        {**photo, **face, "identity": identity_of[key]}
        for key, photo in sorted(done.items())
        for face in photo["all"] or [NOTHING]
    ]
    return pa.table({field.name: [row[field.name] for row in rows] for field in SCHEMA}, SCHEMA)


def _metadata(settings: dict[str, Any]) -> dict[str, str]:
    return {"urface": FORMAT} | {key: settings[key] for key in settings if key != "format"}


def _write(file: Path, table: pa.Table) -> None:
    with atomic_path(file) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _read_before(file: Path, settings: dict[str, Any], stamps: dict[str, str]) -> dict[str, Done]:
    """What a manifest that is there already has, by photo; nothing where there is none."""
    if not file.exists():
        return {}
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError, ValueError):
        raise UserError(f"{file}: there, and not a manifest of photos: name another") from None
    given = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    if not is_photo_table(table) or not table.schema.equals(SCHEMA):
        raise UserError(f"{file}: there, and not a manifest of photos: name another")
    if given != _metadata(settings):
        raise UserError(
            f"{file}: made with another detector, --faces, --keep-names or output: name another manifest "
            "and output"
        )
    rows = table.to_pylist()
    if not {row["photo"] for row in rows} & stamps.keys():
        raise UserError(f"{file}: the manifest of other photos: name another")
    before = {}
    for key, group in groupby(rows, lambda row: row["photo"]):
        these = list(group)
        photo = {name: value for name, value in these[0].items() if name not in OF_A_FACE}
        photo["all"] = [{name: row[name] for name in OF_A_FACE} for row in these if row["face"]]
        before[key] = photo
    return before
