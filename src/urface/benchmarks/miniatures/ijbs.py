"""A small IJB-S: metadata, galleries and probe lists of all five searches; every name writes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.miniatures.pictures import lines, save

PEOPLE, SHOTS = 16, 6  # half of the people in each gallery
VIDEOS, SEEN = 12, 6  # surveillance videos, people in each
UAV = 4  # videos from the air
FRAMES = 2


def write(root: Path, name: str, seed: int) -> None:
    """16 people: a portrait and two booking pictures each, 16 videos of six of them.

    The first person has no image in the first video, which a report counts as a missing template.
    """
    rng = np.random.default_rng(seed)
    faces = people(PEOPLE, SHOTS, seed)
    metadata: list[tuple[object, ...]] = [("subject_id", "media")]
    galleries: dict[str, list[tuple[object, ...]]] = {}
    for person in range(PEOPLE):
        subject, part = person + 1, 1 + person % 2
        stills = [person * 3 + shot + 1 for shot in range(3)]
        for shot, still in enumerate(stills):
            save(root / str(subject) / f"img_{still}.jpg", faces[person][shot])
            metadata.append((subject, f"img/{still}.jpg"))
            kind = "single" if shot == 0 else "booking"
            galleries.setdefault(f"{kind}_g{part}", []).append((subject, f"img/{still}.jpg"))
        own = f"videos/{500 + subject}.mp4"
        metadata.append((subject, own))
        galleries.setdefault(f"surveillance_g{part}", []).append((subject, own))
        _save_frames(root, subject, 500 + subject, faces[person], rng)
    for video in range(VIDEOS + UAV):
        # Everyone is in turn, so that each person is in several videos.
        for person in sorted((video * SEEN // 2 + seat) % PEOPLE for seat in range(SEEN)):
            metadata += [(person + 1, f"videos/{101 + video}.mp4")] * 2  # as many rows as frames
            if (video, person) != (0, 0):
                _save_frames(root, person + 1, 101 + video, faces[person], rng)
    for kind, rows in galleries.items():
        path = root / "galleries" / f"cs6_surveillance_to_{kind}.csv"
        save(path, lines([("subject_id", "filename"), *rows]))
    seen = [f"videos/{101 + video}.mp4" for video in range(VIDEOS + UAV)]
    save(root / "cs6_metadata.csv", lines(metadata))
    for kind, videos in {
        "surveillance_to_single-booking": seen[:VIDEOS],
        "surveillance_to_surveillance": seen[:VIDEOS],
        "uav_to_single-booking": seen[VIDEOS:],
    }.items():
        save(root / f"cs6_{kind}_probe.csv", "media\n" + "".join(f"{v}\n" for v in videos))


def _save_frames(
    root: Path, subject: int, video: int, shots: list[bytes], rng: np.random.Generator
) -> None:
    for frame, shot in enumerate(rng.permutation(SHOTS)[:FRAMES]):
        file = f"videos_{video}_{frame * 30 + 1}.jpg"
        save(root / str(subject) / file, shots[shot])
