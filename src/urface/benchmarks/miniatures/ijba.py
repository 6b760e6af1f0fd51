"""A small IJB-A in NIST's layout: ten splits, 1:1 and 1:N; both names write the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from urface.benchmarks.ijba import LANDMARK_AXES, SPLITS, THREE_POINTS
from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.miniatures.pictures import lines, picture_of, points_in, save
from urface.template import TEMPLATE_SIZE

PEOPLE, SHOTS = 20, 4
TEMPLATES = 4  # of each person in a split: 3,040 pairs of two people
ENROLLED, PROBES = 14, 52  # the other people have 6 x 52 = 312 probes without a mate
HEADER = (
    "TEMPLATE_ID,SUBJECT_ID,FILE,MEDIA_ID,SIGHTING_ID,FRAME,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,"
    f"{','.join(LANDMARK_AXES)},FACE_YAW,FOREHEAD_VISIBLE,EYES_VISIBLE,NOSE_MOUTH_VISIBLE,INDOOR,GENDER,"
    "SKINTONE,AGE,FACIAL_HAIR\n"
)
BOX = (0.15, 0.22, 0.70, 0.74)  # x, y, width, height of a face in shares of the aligned crop
REST = ("", 1, 1, 1, 1, "", "", "", "")


Sighting = tuple[object, ...]  # a face in a file: all cells of its row but those of the template


def write(root: Path, name: str, seed: int) -> None:
    """20 people with two stills and two frames of a video each; the first two share a still."""
    rng = np.random.default_rng(seed)
    sightings = _sightings(root, rng, seed)
    count = SPLITS * PEOPLE * (2 * TEMPLATES + PROBES + 1)
    numbers = iter((rng.permutation(count) + 1).tolist())
    for split in range(1, SPLITS + 1):
        _write_pairs(root / "IJB-A_11_sets" / f"split{split}", split, sightings, numbers, rng)
        _write_search(root / "IJB-A_1N_sets" / f"split{split}", split, sightings, numbers, rng)


def _sightings(root: Path, rng: np.random.Generator, seed: int) -> list[list[Sighting]]:
    shots = people(PEOPLE, SHOTS, seed)
    found: list[list[Sighting]] = [[] for _ in range(PEOPLE)]
    together = [(0, 1), *((person,) for person in range(2, PEOPLE))]
    for shot in range(SHOTS):
        still = shot < 2
        groups = together if shot == 0 else [(person,) for person in range(PEOPLE)]
        for group in groups:
            first = group[0]
            file = (
                f"img/{first * 2 + shot + 1}.jpg" if still else f"frame/{first + 1}_{shot:05d}.jpg"
            )
            image, placed = picture_of([shots[person][shot] for person in group], rng)
            save(root / "images" / file, image)
            for person, row in zip(group, placed, strict=True):
                medium = 1000 + first * 2 + shot if still else 1 + first
                sighting = 1 + person * SHOTS + shot
                # Of a face seen badly the annotators gave no landmarks: its box alone is there.
                points = points_in(row, THREE_POINTS).round(2).ravel().tolist()
                given = points if shot != 1 or person % 3 else [""] * 6
                x, y, width, height = (
                    round(float(value * TEMPLATE_SIZE * row[0]), 1) for value in BOX
                )
                box = (round(float(x + row[1]), 1), round(float(y + row[2]), 1), width, height)
                frame = "" if still else shot
                cells = (file, medium, sighting, frame, *box, *given, *REST)
                found[person].append(cells)
    return found


def _rows(template: int, person: int, sightings: list[Sighting]) -> list[tuple[object, ...]]:
    return [(template, person + 1, *sighting) for sighting in sightings]


def _some(sightings: list[Sighting], rng: np.random.Generator) -> list[Sighting]:
    chosen = np.sort(rng.permutation(SHOTS)[: rng.integers(1, SHOTS)])
    return [sightings[shot] for shot in chosen]


def _write_pairs(
    folder: Path,
    split: int,
    sightings: list[list[Sighting]],
    numbers: Iterator[int],
    rng: np.random.Generator,
) -> None:
    rows: list[tuple[object, ...]] = []
    templates: list[int] = []
    for person in range(PEOPLE):
        for _ in range(TEMPLATES):
            templates.append(next(numbers))
            rows += _rows(templates[-1], person, _some(sightings[person], rng))
    pairs = [(a, b) for place, a in enumerate(templates) for b in templates[place + 1 :]]
    save(folder / f"verify_metadata_{split}.csv", HEADER + lines(rows))
    save(folder / f"verify_comparisons_{split}.csv", lines(pairs))
    save(folder / f"train_{split}.csv", HEADER)


def _write_search(
    folder: Path,
    split: int,
    sightings: list[list[Sighting]],
    numbers: Iterator[int],
    rng: np.random.Generator,
) -> None:
    gallery: list[tuple[object, ...]] = []
    probes: list[tuple[object, ...]] = []
    order = rng.permutation(PEOPLE)
    for place, person in enumerate(order.tolist()):
        if place < ENROLLED:
            gallery += _rows(next(numbers), person, sightings[person])
        for _ in range(TEMPLATES if place < ENROLLED else PROBES):
            number = next(numbers)
            probes += _rows(number, person, _some(sightings[person], rng))
    save(folder / f"search_gallery_{split}.csv", HEADER + lines(gallery))
    save(folder / f"search_probe_{split}.csv", HEADER + lines(probes))
    save(folder / f"train_{split}.csv", HEADER)
