"""`urface embed` of photos: faces found, aligned and embedded as they come."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from urface.atomic import atomic_path
from urface.commands.given import find_faces
from urface.commands.parser import note
from urface.commands.photo_options import CROP_SIDE, HINT
from urface.types import UserError

if TYPE_CHECKING:
    from urface.data.source import FaceSource
    from urface.embedder import Embedder
    from urface.photos.each_photo import Faces, Seen


def embed_photos(given: Any) -> int:
    """Embed the photos at ``given.paths``; failures are listed in a file beside the output."""
    sources = find_faces(given.paths, photos=True)

    from urface.embedder import load

    reader = PhotoReader(sources, load(given.model), given.corrupt_share, given.faces)
    batches = reader.batches(given.batch_size, given.detector, given.jobs)
    faces = reader.embedder.embed_frames(batches, reader.total, True)
    listed = Path(f"{given.output}.failures.csv")
    if reader.failures:
        _write_failures(listed, reader.failures)
    else:
        listed.unlink(missing_ok=True)
    told = reader.told()
    if not len(faces):
        raise UserError(f"no face in any of {reader.total} photos{told}: nothing to write")
    faces.save(given.output, reader.keys)
    note(f"{given.output}: {len(faces)} faces of {reader.total} photos{told}")
    if reader.failures:
        note(f"{listed}: the failures ({len(reader.failures)}), and why")
    return 0


class PhotoReader:
    """The faces of photos, ready for the network.

    keys      of the faces that ``batches`` has yielded: that of the photo, with #1 and so on for all faces
    failures  photo, outcome and reason of each without a face
    """

    def __init__(
        self,
        sources: list[tuple[str, FaceSource]],
        embedder: Embedder,
        corrupt_share: float,
        which: Faces = "largest",
    ) -> None:
        self.embedder = embedder
        self.keys: list[str] = []
        self.failures: list[tuple[str, str, str]] = []
        self.total = sum(len(source) for _, source in sources)
        self._sources = sources
        self._share = corrupt_share
        self._which = which

    def batches(self, size: int, detector: str, jobs: int) -> Iterator[list[np.ndarray]]:
        """Frames as the network sees them, at most ``size`` at a time.

        Raises UserError once more photos than the share allows cannot be decoded.
        """
        from urface.photos.each_photo import look_at_all, photos_of

        found = look_at_all(photos_of(self._sources), detector, self._which, jobs)
        frames = (frame for seen in found for frame in self._frames(seen))
        while batch := list(islice(frames, size)):
            yield batch

    def told(self) -> str:
        """The failures, counted by outcome."""
        numbers = Counter(outcome for _, outcome, _ in self.failures)
        return "".join(f", {number} {outcome}" for outcome, number in numbers.items())

    def _frames(self, seen: Seen) -> list[np.ndarray]:
        from urface.photos.each_photo import UNDECODABLE

        if not seen.faces:
            self.failures.append((seen.key, seen.outcome, seen.reason))
            if seen.outcome == UNDECODABLE:
                self._check_share(seen)
            hint = f"; {HINT}" if seen.size == (CROP_SIDE, CROP_SIDE) else ""
            tqdm.write(f"{seen.outcome}: {seen.key}: {seen.reason}{hint}", file=sys.stderr)
        for face in seen.faces:
            self.keys.append(f"{seen.key}#{face.number}" if self._which == "all" else seen.key)
        return [self.embedder.frame(face.image) for face in seen.faces]

    def _check_share(self, seen: Seen) -> None:
        from urface.photos.each_photo import UNDECODABLE

        corrupt = sum(outcome == UNDECODABLE for _, outcome, _ in self.failures)
        # At least one is forgiven: 0.1 % of a small set would be none at all.
        if self._share == 0 or corrupt > max(1.0, self._share * self.total):
            raise UserError(
                f"{corrupt} of {self.total} photos cannot be decoded, more than --corrupt-share "
                f"{self._share:g} allows; the last: {seen.key}: {seen.reason}"
            )


def _write_failures(path: Path, failures: list[tuple[str, str, str]]) -> None:
    with (
        atomic_path(path) as temporary,
        # A name need not be UTF-8: what cannot be written is escaped, not lost with all the others.
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as out,
    ):
        writer = csv.writer(out)
        writer.writerow(["photo", "outcome", "reason"])
        writer.writerows(failures)
