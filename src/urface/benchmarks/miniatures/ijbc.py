"""A small IJB-B or IJB-C as InsightFace packages them; the 1:1 and the 1:N names write the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from urface.benchmarks.ijbc import GALLERIES
from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.miniatures.pictures import lines, picture_of, points_in, save
from urface.template import TEMPLATE

PEOPLE, SHOTS = 24, 4  # half of the people in each gallery
PROBES = 26  # templates of each: 312 probes have no mate in a gallery, enough for a FPIR of 0.1


def _save_meta(root: Path, base: str, name: str, text: str) -> None:
    save(root / "meta" / f"{base}_{name}", text)


def write(root: Path, name: str, seed: int) -> None:
    """24 people with four pictures each, 648 templates, all pairs of an enrolled one and a probe."""
    base = name.removesuffix("_1n")
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(4 * PEOPLE * (PROBES + 1))  # ids with gaps, in no order
    points: list[tuple[object, ...]] = []
    for person, shots in enumerate(people(PEOPLE, SHOTS, seed)):
        for shot, face in enumerate(shots):
            image, placed = picture_of([face], rng)
            name = f"{person * SHOTS + shot + 1}.jpg"
            save(root / "loose_crop" / name, image)
            where = points_in(placed[0], TEMPLATE).round(3).ravel().tolist()
            points.append((name, *where, round(float(rng.uniform(0.6, 1.0)), 6)))
    members: list[tuple[object, ...]] = []
    galleries: list[list[tuple[int, int]]] = [[], []]
    probes: list[tuple[int, int]] = []
    for person in range(PEOPLE):
        subject = person + 1
        for template in range(PROBES + 1):
            number = int(numbers[person * (PROBES + 1) + template])
            # The first template is enrolled: two stills, and the two frames of one video.
            shots_of = (
                rng.permutation(SHOTS)[: rng.integers(1, SHOTS)] if template else range(SHOTS)
            )
            for place, shot in enumerate(shots_of):
                medium = number * 10 + min(place, 2)
                members.append((f"{person * SHOTS + int(shot) + 1}.jpg", number, medium))
            enrolled = galleries[person % 2] if template == 0 else probes
            enrolled.append((number, subject))
    _save_meta(root, base, "name_5pts_score.txt", lines(points, " "))
    _save_meta(root, base, "face_tid_mid.txt", lines(members, " "))
    header = ("TEMPLATE_ID", "SUBJECT_ID")
    for part, gallery in zip(GALLERIES[base], galleries, strict=True):
        _save_meta(root, base, f"1N_gallery_{part}.csv", lines([header, *gallery]))
    _save_meta(root, base, "1N_probe_mixed.csv", lines([header, *probes]))
    pairs = [
        (enrolled, probe, int(subject == other))
        for enrolled, subject in galleries[0] + galleries[1]
        for probe, other in probes
    ]
    _save_meta(root, base, "template_pair_label.txt", lines(pairs, " "))
