"""IJB-S: five searches of surveillance video, as one benchmark or each by itself.

``cs6_metadata.csv`` says which person is in which medium, ``galleries/*.csv`` who is enrolled with which
media, ``*_probe.csv`` which videos are searched. Faces are cut out and aligned beforehand, in ``images`` or
the root: ``<subject>/videos_<video>_<frame>.jpg`` and ``<subject>/img_<frame>.jpg``. A probe template is one
person in one video; in the multi-view search it is one person in all of the videos.
"""

from __future__ import annotations

import os
import re
from array import array
from pathlib import Path
from typing import NamedTuple

import numpy as np

from urface.benchmarks.benchmark import Benchmark, ImageSet, SearchTask, Templates
from urface.benchmarks.columns import Column, Names, Table, read_columns
from urface.benchmarks.face_crops import AsTheyLie, leads_out
from urface.types import UserError

CLOSED = ("rank1", "rank5", "rank10")
OPEN = ("tpir@0.01", "tpir@0.1")
METADATA = "cs6_metadata.csv"
FRAME = re.compile(r"(videos_.+)_[0-9]+\.(?:jpg|jpeg|png)", re.IGNORECASE)
STILL = re.compile(r"(img_.+)\.(?:jpg|jpeg|png)", re.IGNORECASE)


class Experiment(NamedTuple):
    """A search: ``gallery`` and ``probe`` are parts of file names; ``joined``, whether the probe videos
    of a person are one template."""

    title: str
    gallery: str
    probe: str
    joined: bool = False


EXPERIMENTS = {
    "ijbs_single": Experiment("surveillance-to-single", "single", "surveillance_to_single-booking"),
    "ijbs_booking": Experiment(
        "surveillance-to-booking", "booking", "surveillance_to_single-booking"
    ),
    "ijbs_surveillance": Experiment(
        "surveillance-to-surveillance", "surveillance", "surveillance_to_surveillance"
    ),
    "ijbs_multiview_booking": Experiment(
        "multi-view surveillance-to-booking", "booking", "surveillance_to_single-booking", True
    ),
    "ijbs_uav_booking": Experiment("UAV-to-booking", "booking", "uav_to_single-booking"),
}


def read(root: Path, name: str) -> Benchmark:
    """``name`` is one of EXPERIMENTS, or ijbs for all five with their images embedded once.

    A template whose media have no image is counted as missing. Raises UserError with file and line for a
    medium that is neither videos/ nor img/, a probe in which the metadata know no person, a person
    enrolled in both galleries, a row of another shape.
    """
    chosen = EXPERIMENTS if name == "ijbs" else {name: EXPERIMENTS[name]}
    faces, people = _Faces(root), _People(root / METADATA)
    searches: list[SearchTask] = []
    for experiment in chosen.values():
        galleries = _galleries(root, experiment, faces)
        probes = _probes(root, experiment, people, faces)
        title = experiment.title
        both = np.concatenate(galleries)
        searches.append(SearchTask(f"{title}, closed set", both, probes, CLOSED))
        for part, gallery in zip((1, 2), galleries, strict=True):
            task = f"{title}, gallery {part}"
            searches.append(SearchTask(task, gallery, probes, OPEN, group=f"{title}, open set"))
    return faces.benchmark(name, tuple(searches))


class _People:
    """Who is in which medium, by the metadata, whose rows are as many as there are annotated faces."""

    def __init__(self, path: Path) -> None:
        table = read_columns(
            path, [Column("subject_id", "whole"), Column("media", "text")], ",", "any"
        )
        subjects = table.whole["subject_id"]
        table.refuse(subjects < 0, "subject_id is negative")
        media = _media(table)
        pairs = np.unique(np.stack([media.places, subjects], axis=1), axis=0)
        self.of: dict[str, list[int]] = {}
        for medium, subject in pairs.tolist():
            self.of.setdefault(media.names[medium], []).append(subject)


class _Faces:
    """The images and templates that the experiments ask for, each once."""

    def __init__(self, root: Path) -> None:
        self.root = root / "images" if (root / "images").is_dir() else root
        self.listed: dict[int, dict[str, list[str]]] = {}
        self.place_of: dict[str, int] = {}
        self.media: dict[str, int] = {}
        self.templates: dict[tuple[str, int, tuple[str, ...]], int] = {}
        self.names: list[str] = []
        self.subjects: list[int] = []
        self.entries = array("q")  # image, template, medium of each: millions of frames

    def template(self, kind: str, subject: int, media: tuple[str, ...]) -> int:
        """The place of the template of ``subject`` in ``media``; ``kind`` begins its name."""
        address = (kind, subject, media)
        if address not in self.templates:
            place = self.templates[address] = len(self.names)
            shown = media[0] if len(media) == 1 else f"{len(media)} media"
            self.names.append(f"{kind}/{subject}/{shown}")
            self.subjects.append(subject)
            for medium in media:
                number = self.media.setdefault(medium, len(self.media))
                for image in self._images(subject).get(medium, []):
                    found = self.place_of.setdefault(image, len(self.place_of))
                    self.entries.extend((found, place, number))
                if medium not in self._images(subject):
                    self.entries.extend((-1, place, number))
        return self.templates[address]

    def _images(self, subject: int) -> dict[str, list[str]]:
        """Paths of the images of a subject by medium, from one listing of the folder."""
        if subject not in self.listed:
            found: dict[str, list[str]] = {}
            folder = self.root / str(subject)
            for file in sorted(os.listdir(folder)) if folder.is_dir() else []:
                match = FRAME.fullmatch(file) or STILL.fullmatch(file)
                if match:
                    found.setdefault(match[1], []).append(f"{subject}/{file}")
            self.listed[subject] = found
        return self.listed[subject]

    def benchmark(self, name: str, searches: tuple[SearchTask, ...]) -> Benchmark:
        if not self.place_of:
            raise UserError(f"{self.root}: no image of any template: expected SUBJECT/videos_*.jpg")
        image, template, media = np.array(self.entries, np.int64).reshape(-1, 3).T.copy()
        with_image = np.unique(template[image >= 0])
        missing = len(self.names) - len(with_image)
        keys = list(self.place_of)
        faces = AsTheyLie(self.root, keys)
        notes = [
            "closed set: both galleries together; open set: each gallery on its own, then their mean",
            f"{missing} of {len(self.names)} templates have no image: failures, kept in every denominator",
            "multi-view: all listed videos of a person are one probe (unsure: the protocol's own "
            "grouping of views is not in the files read)",
        ]
        return Benchmark(
            name,
            "five searches, reading 1",
            ImageSet(keys, faces, stamp=faces.stamp),
            Templates(self.names, np.array(self.subjects, np.int64), image, template, media),
            searches=searches,
            notes=tuple(notes),
        )


def _galleries(root: Path, experiment: Experiment, faces: _Faces) -> list[np.ndarray]:
    """[G] places of each of the two: a template for each person enrolled, of all media of its rows."""
    kinds = [f"cs6_surveillance_to_{experiment.gallery}_g{part}" for part in (1, 2)]
    first, second = (_read(root / "galleries" / f"{kind}.csv", "subject") for kind in kinds)
    both = np.isin(second.whole["subject"], first.whole["subject"])
    second.refuse(both, "this subject is enrolled in gallery 1 too")
    found = []
    for kind, table in zip(kinds, (first, second), strict=True):
        media = _media(table)
        enrolled: dict[int, list[str]] = {}
        for subject, medium in zip(table.whole["subject"].tolist(), media.places, strict=True):
            enrolled.setdefault(subject, []).append(media.names[medium])
        places = [faces.template(kind, s, tuple(dict.fromkeys(m))) for s, m in enrolled.items()]
        found.append(np.array(places, np.int64))
    return found


def _probes(root: Path, experiment: Experiment, people: _People, faces: _Faces) -> np.ndarray:
    """[Q] places: a template for each person in each listed medium, or for each person in all of them."""
    table = _read(root / f"cs6_{experiment.probe}_probe.csv")
    media = _media(table)
    strange = np.array([name not in people.of for name in media.names])
    table.refuse(strange[media.places], f"{METADATA} knows no person in this medium")
    table.refuse_repeats("media")
    seen: dict[int, list[str]] = {}
    for name in media.names:
        for subject in people.of[name]:
            seen.setdefault(subject, []).append(name)
    kind, places = experiment.probe, []
    for subject, names in seen.items():
        groups = [tuple(names)] if experiment.joined else [(name,) for name in names]
        places += [faces.template(kind, subject, group) for group in groups]
    return np.array(places, np.int64)


def _read(path: Path, *numbers: str) -> Table:
    columns = [*(Column(name, "whole") for name in numbers), Column("media", "text")]
    table = read_columns(path, columns, ",", "any")
    for name in numbers:
        table.refuse(table.whole[name] < 0, f"{name} is negative")
    return table


def _media(table: Table) -> Names:
    """Media as the image files spell them: videos/2003.mp4 is videos_2003, img/12.jpg is img_12."""
    names, places = table.text["media"]
    odd = [not name.startswith(("videos/", "img/")) or leads_out(name) for name in names]
    table.refuse(np.array(odd)[places], "a medium is videos/NAME or img/NAME")
    plain = [os.path.splitext(name)[0].replace("/", "_") for name in names]
    unique = list(dict.fromkeys(plain))
    rank = {name: place for place, name in enumerate(unique)}
    return Names(unique, np.array([rank[name] for name in plain], np.int64)[places])
