"""IJB-B and IJB-C, 1:1 and 1:N, as InsightFace packages them: ``loose_crop`` beside ``meta``.

``<b>_face_tid_mid.txt`` says which image is in which template and medium, ``<b>_name_5pts_score.txt`` where
its five points are and how sure the detector was; ``<b>_template_pair_label.txt`` lists the pairs. Subjects
are in the 1:N csvs, a row for each template or for each image of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from urface.benchmarks.benchmark import Benchmark, ImageSet, PairTask, SearchTask, Templates
from urface.benchmarks.columns import Column, Table, read_columns
from urface.benchmarks.face_crops import Warped, landmark_transforms, leads_out
from urface.benchmarks.template_rows import TemplateIds, no_row_twice, one_subject_each
from urface.types import UserError

PAIR_MEASURES = tuple(f"tar@1e-{power}" for power in (6, 5, 4, 3, 2, 1))
SEARCH_MEASURES = ("rank1", "rank5", "rank10", "tpir@0.01", "tpir@0.1")
GALLERIES = {"ijbb": ("S1", "S2"), "ijbc": ("G1", "G2")}
WHOLE = {"ijbb": (227_630, 12_115, 8_010_270), "ijbc": (469_375, 23_124, 15_658_489)}
VERSION = "InsightFace packaging, reading 1"
SUBJECT = "SUBJECT_ID"


class Members(NamedTuple):
    """All images and what they are members of: one row of face_tid_mid for each entry."""

    images: ImageSet
    ids: TemplateIds
    image: np.ndarray
    template: np.ndarray
    media: np.ndarray


class Roll(NamedTuple):
    """A csv that lists templates: their places, each once, in order of appearance; [T] subjects, -1 where
    it does not list a template."""

    places: np.ndarray
    subjects: np.ndarray


def read(root: Path, name: str) -> Benchmark:
    """``name`` is ijbb, ijbc, ijbb_1n or ijbc_1n.

    An image that is listed but has no file is a counted failure. Raises UserError with file and line for
    everything else that does not fit: a pair of an unknown template, a template without an image or with
    two subjects, an image without its five points, a label that contradicts the subjects.
    """
    base, meta = name.removesuffix("_1n"), root / "meta"
    members = _read_members(root, meta, base)
    return (_search if name.endswith("_1n") else _verification)(meta, name, base, members)


def _read_members(root: Path, meta: Path, base: str) -> Members:
    rows = read_columns(
        meta / f"{base}_face_tid_mid.txt",
        [Column("image", "text"), Column("template", "whole"), Column("media", "whole")],
    )
    keys, image = rows.text["image"]
    rows.refuse(
        np.array([leads_out(key) for key in keys])[image], "the image lies outside loose_crop"
    )
    ids = TemplateIds(rows.whole["template"])
    template = ids.places(rows, "template").astype(np.int64)
    no_row_twice(rows, image, template, "this image of this template")
    points, quality = _read_points(meta / f"{base}_name_5pts_score.txt", keys, rows)
    reader = Warped(root / "loose_crop", keys, landmark_transforms(points))
    images = ImageSet(keys, reader, quality.astype(np.float32), reader.stamp)
    return Members(images, ids, image, template, rows.whole["media"])


def _read_points(path: Path, keys: list[str], rows: Table) -> tuple[np.ndarray, np.ndarray]:
    """[N, 5, 2] landmarks in pixels of the loose crop and [N] faceness, in the order of ``keys``."""
    axes = [f"{axis}{point}" for point in range(1, 6) for axis in "xy"]
    numbers = [*axes, "faceness"]
    table = read_columns(path, [Column("image", "text"), *(Column(n, "real") for n in numbers)])
    table.refuse_repeats("image")
    names = table.text["image"].names
    row_of = {key: row for row, key in enumerate(names)}  # each name once: its place is its row
    row = np.array([row_of.get(key, -1) for key in keys])
    rows.refuse((row < 0)[rows.text["image"].places], f"the image is not in {path.name}")
    unused = np.ones(len(table), bool)
    unused[row] = False
    table.refuse(unused, f"the image is in no template of {rows.path.name}")
    points = np.stack([table.real[axis] for axis in axes], axis=1).reshape(-1, 5, 2)
    table.refuse(np.ptp(points, axis=1).max(axis=1) < 1e-3, "the five points are one point")
    table.refuse(np.abs(points).max(axis=(1, 2)) > 1e6, "a point lies a million pixels away")
    return points[row], table.real["faceness"][row]


def _read_roll(path: Path, members: Members) -> Roll:
    table = read_columns(
        path, [Column("TEMPLATE_ID", "whole"), Column(SUBJECT, "whole")], ",", "any"
    )
    listed = members.ids.places(table, "TEMPLATE_ID", "has no image in face_tid_mid.txt")
    present, first, rank = np.unique(listed, return_index=True, return_inverse=True)
    subjects = np.full(len(members.ids), -1, np.int64)
    subjects[present] = one_subject_each(table, rank, SUBJECT, len(present))
    return Roll(listed[np.sort(first)].astype(np.int64), subjects)


def _read_rolls(meta: Path, base: str, members: Members) -> tuple[list[Roll], Roll, np.ndarray]:
    """Both galleries, the probes, and [T] subjects from all three, -1 where a template is in none."""
    files = [meta / f"{base}_1N_gallery_{part}.csv" for part in GALLERIES[base]]
    files.append(meta / f"{base}_1N_probe_mixed.csv")
    rolls = [_read_roll(path, members) for path in files]
    subjects = np.full(len(members.ids), -1, np.int64)
    for path, roll in zip(files, rolls, strict=True):
        found, known = roll.subjects[roll.places], subjects[roll.places]
        twice = (known >= 0) & (known != found)
        if twice.any():
            number = members.ids.numbers[roll.places[np.argmax(twice)]]
            raise UserError(f"{path}: template {number} has another subject in another csv")
        subjects[roll.places] = found
    return rolls[:-1], rolls[-1], subjects


def _verification(meta: Path, name: str, base: str, members: Members) -> Benchmark:
    labels, matches = meta / f"{base}_template_pair_label.txt", _matches(meta, base)
    notes, subjects = _sizes(base, members), np.empty(0, np.int64)
    if (meta / f"{base}_1N_probe_mixed.csv").exists():
        subjects = _read_rolls(meta, base, members)[2]
        if (subjects < 0).any():
            number = members.ids.numbers[np.argmax(subjects < 0)]
            raise UserError(f"{meta}: template {number} is in none of the 1:N csvs: no subject")
    whole = [Column("template 1", "whole"), Column("template 2", "whole")]
    if labels.exists() or not matches.exists():
        table = read_columns(labels, [*whole, Column("label", "whole")])
        same = table.whole.pop("label")  # 125 MB of IJB-C's pairs
        table.refuse((same != 0) & (same != 1), "the label is neither 0 nor 1")
        same = same == 1
    else:
        table, same = read_columns(matches, whole, ","), None
        if not len(subjects):
            raise UserError(f"{matches}: pairs without labels need the subjects of the 1:N csvs")
        notes.append(f"pairs are NIST's {matches.name}; a pair is labelled by its subjects")
    left = members.ids.places(table, "template 1")
    right = members.ids.places(table, "template 2")
    table.refuse(left == right, "a template with itself")
    if not len(subjects):
        assert same is not None
        subjects = _subjects_by_pairs(left[same], right[same], len(members.ids))
        notes.append("subjects, for intervals, are the templates that genuine pairs connect")
    by_subject = subjects[left] == subjects[right]
    if same is not None:
        table.refuse(same != by_subject, "the label contradicts the subjects of its templates")
    _add_pair_note(notes, base, len(left))
    task = PairTask(
        "1:1", left, right, by_subject, np.zeros(len(left), np.int64), measures=PAIR_MEASURES
    )
    return _benchmark(name, members, subjects, notes, pairs=(task,))


def _matches(meta: Path, base: str) -> Path:
    first, second = GALLERIES[base]
    return meta / f"{base}_11_{first}_{second}_matches.csv"


def _subjects_by_pairs(left: np.ndarray, right: np.ndarray, count: int) -> np.ndarray:
    """[T] int64: one number for all templates that genuine pairs connect, directly or by others."""
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _search(meta: Path, name: str, base: str, members: Members) -> Benchmark:
    galleries, probes, subjects = _read_rolls(meta, base, members)
    listed = np.flatnonzero(subjects >= 0)
    place = np.full(len(members.ids), -1, np.int64)
    place[listed] = np.arange(len(listed))
    tasks = []
    for part, roll in zip(GALLERIES[base], galleries, strict=True):
        both = np.intersect1d(roll.places, probes.places)
        if len(both):
            number = members.ids.numbers[both[0]]
            raise UserError(f"{meta}: template {number} is in gallery {part} and among the probes")
        tasks.append(
            SearchTask(
                f"gallery {part}",
                place[roll.places],
                place[probes.places],
                SEARCH_MEASURES,
                group="mean of both galleries",
            )
        )
    notes = [*_sizes(base, members), "each gallery is searched on its own, with all probes"]
    kept = place[members.template] >= 0
    used, image = np.unique(members.image[kept], return_inverse=True)
    smaller = Members(
        _part(members.images, used),
        TemplateIds(members.ids.numbers[listed]),
        image.astype(np.int64),
        place[members.template[kept]],
        members.media[kept],
    )
    return _benchmark(name, smaller, subjects[listed], notes, searches=tuple(tasks))


def _part(images: ImageSet, used: np.ndarray) -> ImageSet:
    """The images at ``used``, ascending places."""
    if len(used) == len(images):
        return images
    reader, quality = images.read, images.quality
    assert isinstance(reader, Warped)
    assert quality is not None
    keys = [images.keys[place] for place in used]
    fewer = Warped(reader.root, keys, reader.transforms[used])
    return ImageSet(keys, fewer, quality[used], fewer.stamp)


def _sizes(base: str, members: Members) -> list[str]:
    images, templates, _ = WHOLE[base]
    notes = [
        "aligned by the packaged five points on the loose crops; pooled by media as the packagers do"
    ]
    if (len(members.images), len(members.ids)) != (images, templates):
        notes.append(
            f"{len(members.images):,} images in {len(members.ids):,} templates; the whole of it has "
            f"{images:,} in {templates:,}"
        )
    return notes


def _add_pair_note(notes: list[str], base: str, count: int) -> None:
    whole = WHOLE[base][2]
    if count != whole:
        notes.append(f"{count:,} pairs; the whole protocol has {whole:,}")


def _benchmark(
    name: str,
    members: Members,
    subjects: np.ndarray,
    notes: list[str],
    pairs: tuple[PairTask, ...] = (),
    searches: tuple[SearchTask, ...] = (),
) -> Benchmark:
    templates = Templates(
        [str(number) for number in members.ids.numbers],
        subjects,
        members.image,
        members.template,
        members.media,
    )
    return Benchmark(
        name,
        VERSION,
        members.images,
        templates,
        pairs=pairs,
        searches=searches,
        pooling="media",
        notes=tuple(notes),
    )
