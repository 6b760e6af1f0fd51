"""TinyFace's identification test: ``Testing_Set`` and the two lists that MATLAB wrote.

``gallery_match_img_ID_pairs.mat`` and ``probe_img_ID_pairs.mat`` name images and identities; every file of
``Gallery_Distractor`` is one more gallery face, of no one.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from urface.benchmarks.aligner import as_they_lie
from urface.benchmarks.benchmark import NOBODY, Benchmark, ImageSet, SearchTask, Templates
from urface.benchmarks.face_crops import AsTheyLie
from urface.data.matlab import read_variables
from urface.data.source import is_image_name
from urface.types import UserError

MEASURES = ("map", "rank1", "rank5", "rank10", "rank20")
DISTRACTOR = -100  # the identity that the official script gives the gallery's strangers
WHOLE = (3_728, 4_443, 153_428)


def read(root: Path, name: str) -> Benchmark:
    """The test set in ``root``, or in its folder Testing_Set.

    Images are taken as they lie: whoever aligned them says so in ``aligner.txt``, which goes into the notes.
    A listed image without a file is a counted failure. Raises UserError, naming file and entry, for lists
    that do not fit: an identity that contradicts the image's name, an image twice, a probe without a mate.
    """
    base = root / "Testing_Set" if (root / "Testing_Set").is_dir() else root
    probes, probe_ids = _read_list(base / "probe_img_ID_pairs.mat", "probe", "Probe")
    matches, match_ids = _read_list(
        base / "gallery_match_img_ID_pairs.mat", "gallery", "Gallery_Match"
    )
    alone = ~np.isin(probe_ids, match_ids)
    if alone.any():
        first = probes[int(np.argmax(alone))]
        raise UserError(f"{base / 'probe_img_ID_pairs.mat'}: {first} has no mate in the gallery")
    strangers = _list_strangers(base / "Gallery_Distractor")
    keys = [*probes, *matches, *strangers]
    subjects = np.concatenate([probe_ids, match_ids, np.full(len(strangers), NOBODY, np.int64)])
    gallery = np.arange(len(probes), len(keys))
    faces = AsTheyLie(base, keys)
    return Benchmark(
        name,
        "identification test, reading 1",
        ImageSet(keys, faces, stamp=faces.stamp),
        Templates.of_images(keys, subjects),
        searches=(SearchTask("identification", gallery, np.arange(len(probes)), MEASURES),),
        notes=tuple(_notes(base, (len(probes), len(matches), len(strangers)))),
    )


def _read_list(path: Path, prefix: str, folder: str) -> tuple[list[str], np.ndarray]:
    """Paths of the images that a list names, and [N] int64 identities."""
    found = read_variables(path, (f"{prefix}_set", f"{prefix}_ids"))
    names, ids = found[f"{prefix}_set"], found[f"{prefix}_ids"]
    if not isinstance(names, list) or isinstance(ids, list):
        raise UserError(f"{path}: {prefix}_set must hold names and {prefix}_ids numbers")
    if len(names) != len(ids) or not names:
        raise UserError(f"{path}: {len(names)} names and {len(ids)} identities")
    seen: set[str] = set()
    for place, (name, identity) in enumerate(zip(names, ids.tolist(), strict=True), 1):
        where = f"{path}: entry {place}"
        if not is_image_name(name) or "/" in name or "\0" in name or "\\" in name:
            raise UserError(f"{where}: {name[:60]!r} is no name of an image")
        if name in seen:
            raise UserError(f"{where}: {name} is there already")
        seen.add(name)
        if identity == DISTRACTOR:
            raise UserError(f"{where}: {name} is a distractor: its place is Gallery_Distractor")
        if not 0 <= identity < 2**53 or identity != int(identity):
            raise UserError(f"{where}: identity {identity:g} is not a whole number from 0 up")
        stem = name.partition("_")[0]
        if not (stem.isascii() and stem.isdecimal() and stem.lstrip("0") == _digits(identity)):
            raise UserError(f"{where}: {name} is not of identity {int(identity)} by its name")
    return [f"{folder}/{name}" for name in names], ids.astype(np.int64)


def _digits(identity: float) -> str:
    return str(int(identity)).lstrip("0")


def _list_strangers(folder: Path) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(folder) if is_image_name(name))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from None
    if not names:
        raise UserError(f"{folder}: no image in it: without distractors this is another test")
    return [f"{folder.name}/{name}" for name in names]


def _notes(base: Path, counts: tuple[int, int, int]) -> list[str]:
    notes = [f"{as_they_lie(base)}; alignment dominates this benchmark"]
    if counts != WHOLE:
        notes.append(
            "{:,} probes, {:,} matches, {:,} distractors; the whole test has "
            "{:,}, {:,} and {:,}".format(*counts, *WHOLE)
        )
    return notes
