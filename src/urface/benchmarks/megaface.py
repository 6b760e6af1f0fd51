"""MegaFace without its devkit: FaceScrub's probes among up to a million strangers.

``facescrub_lst`` lists ``name/image`` below ``facescrub_images``, ``megaface_lst`` lists ``a/b/image`` below
``megaface_images``; ``facescrub_noises.txt`` and ``megaface_noises.txt`` say which of them are left out.
Every two images of one person are a trial: one is the probe, the other its mate among the strangers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from urface.benchmarks.benchmark import NOBODY, Benchmark, ImageSet, SearchTask, Templates
from urface.benchmarks.columns import Column, read_columns
from urface.benchmarks.face_crops import leads_out, read_path
from urface.data.decode import read_capped
from urface.data.file_stamp import file_stamp
from urface.types import UserError

SIZES = tuple(10**power for power in range(1, 7))
SEED = 0  # of the order in which strangers are taken where no list of the devkit's says it
NOISE_BYTES = 64 << 20
LIST_BYTES = 256 << 20
FOLDERS = {"facescrub": "facescrub_images", "megaface": "megaface_images"}


@dataclass(frozen=True, eq=False)
class _Images:
    """Reads ``facescrub/name/image`` from the folder of FaceScrub's images, and so for MegaFace."""

    root: Path
    keys: list[str]

    def __call__(self, place: int) -> np.ndarray:
        part, _, path = self.keys[place].partition("/")
        return read_path(self.root / FOLDERS[part], path)

    def stamp(self, place: int) -> bytes:
        part, _, path = self.keys[place].partition("/")
        return file_stamp(f"{self.root}/{FOLDERS[part]}/{path}")


def read(root: Path, name: str) -> Benchmark:
    """Rank-1 among 10, 100, ... strangers, as many as are listed, and TAR at FAR 1e-6 among the most.

    The strangers of a size are those of ``megaface_features_list.json_<size>_1`` where the devkit's list is
    there, else the first of one seeded order, so that each set holds the smaller ones. Noisy images are
    left out after that. A listed image without a file is a counted failure. Raises UserError with file and
    line for an entry that is no ``name/image`` or ``a/b/image``, or is there already.
    """
    probes, noisy_probes = _listed(root, "facescrub", 2)
    strangers, noisy = _listed(root, "megaface", 3)
    kept_probes = [key for key, out in zip(probes, noisy_probes, strict=True) if not out]
    people: dict[str, int] = {}
    of = [people.setdefault(key.rpartition("/")[0], len(people)) for key in kept_probes]
    mates = _mates(np.array(of, np.int64))
    if not len(mates):
        raise UserError(f"{root / 'facescrub_lst'}: no person with two images: no probe has a mate")
    kept = np.flatnonzero(~noisy)
    place = np.full(len(strangers), -1, np.int64)
    place[kept] = len(kept_probes) + np.arange(len(kept))
    tasks = []
    chosen = _by_size(root, strangers)
    for size, members in chosen.items():
        gallery = place[members]
        gallery = gallery[gallery >= 0]
        if not len(gallery):
            raise UserError(f"{root / 'megaface_noises.txt'}: no stranger is left among {size:,}")
        last = size == max(chosen)
        tasks.append(
            SearchTask(
                f"{size:,} distractors",
                gallery,
                np.unique(mates),
                ("rank1", "tar@1e-6") if last else ("rank1",),
                mates=mates,
            )
        )
    keys = [*kept_probes, *(strangers[i] for i in kept)]
    faces = _Images(root, keys)
    subjects = np.concatenate([np.array(of, np.int64), np.full(len(kept), NOBODY, np.int64)])
    notes = (
        f"{int(noisy_probes.sum())} probe images and {int(noisy.sum())} distractors are left out as noise",
        "images as they lie: aligned beforehand, by whom is not recorded",
        "every ordered pair of two images of a person is a trial",
    )
    return Benchmark(
        name,
        "challenge 1, reading 1",
        ImageSet(keys, faces, stamp=faces.stamp),
        Templates.of_images(keys, subjects),
        searches=tuple(tasks),
        notes=notes,
    )


def _listed(root: Path, part: str, depth: int) -> tuple[list[str], np.ndarray]:
    """Keys ``facescrub/...`` or ``megaface/...`` in the list's order, and [N] bool, which are noise."""
    table = read_columns(root / f"{part}_lst", [Column("image", "text")], "\t")
    names = table.text["image"].names
    table.refuse_repeats("image")
    odd = [name.count("/") != depth - 1 or "//" in name or leads_out(name) for name in names]
    shape = "name/image" if depth == 2 else "a/b/image"
    table.refuse(np.array(odd), f"expected {shape}")
    noises = _noises(root / f"{part}_noises.txt")
    noisy = [name in noises or (depth == 2 and name.rpartition("/")[2] in noises) for name in names]
    return [f"{part}/{name}" for name in names], np.array(noisy, bool)


def _noises(path: Path) -> set[str]:
    """Names of noisy images; ``#`` begins a comment, and a tab ends a number before the name.

    A list may name images that are not searched: FaceScrub's is of all its people.
    """
    try:
        data = read_capped(path, NOISE_BYTES)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}): an empty file says that there is no noise"
        ) from None
    if len(data) > NOISE_BYTES:
        raise UserError(f"{path}: over {NOISE_BYTES} bytes")
    found = set()
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise UserError(f"{path}:{number}: not text in UTF-8") from None
        if text and not text.startswith("#"):
            cells = text.split("\t")
            if len(cells) > 2 or not cells[-1]:
                raise UserError(f"{path}:{number}: {text[:60]!r}: expected the name of an image")
            found.add(cells[-1])
    return found


def _mates(subjects: np.ndarray) -> np.ndarray:
    """[L, 2] places (probe, mate): every ordered pair of two different images of one person."""
    order = np.argsort(subjects, kind="stable")
    rows = []
    for same in np.split(order, np.flatnonzero(np.diff(subjects[order])) + 1):
        probe, mate = np.meshgrid(same, same, indexing="ij")
        rows.append(np.stack([probe.ravel(), mate.ravel()], axis=1)[(probe != mate).ravel()])
    return np.concatenate(rows) if rows else np.empty((0, 2), np.int64)


def _by_size(root: Path, strangers: list[str]) -> dict[int, np.ndarray]:
    """Places of the strangers of each size: powers of ten, and all where these are none of them."""
    order = np.random.default_rng(SEED).permutation(len(strangers))
    sizes = [size for size in SIZES if size <= len(strangers)]
    if len(strangers) < SIZES[-1] and len(strangers) not in sizes:
        sizes.append(len(strangers))
    place_of: dict[str, int] = {}
    found = {}
    for size in sizes:
        path = root / f"megaface_features_list.json_{size}_1"
        if path.exists():
            place_of = place_of or {key: place for place, key in enumerate(strangers)}
            found[size] = _devkit_list(path, size, place_of)
        else:
            found[size] = order[:size]
    return found


def _devkit_list(path: Path, size: int, place_of: dict[str, int]) -> np.ndarray:
    try:
        data = json.loads(read_capped(path, LIST_BYTES))
        names = data["path"]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f'{path}: not JSON with a list "path"') from None
    if not isinstance(names, list) or len(names) != size:
        raise UserError(f'{path}: "path" is no list of {size} images')
    places = np.empty(size, np.int64)
    for row, name in enumerate(names):
        places[row] = place_of.get(f"megaface/{name}", -1) if isinstance(name, str) else -1
        if places[row] < 0:
            raise UserError(f"{path}: entry {row + 1}: {str(name)[:60]!r} is not in megaface_lst")
    if len(np.unique(places)) != size:
        raise UserError(f"{path}: an image is in it twice")
    return places
