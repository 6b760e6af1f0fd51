"""YouTube Faces in small: a few frames of each video, and ten splits of pairs of videos."""

from __future__ import annotations

from pathlib import Path

from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.miniatures.lfw import person_name
from urface.benchmarks.miniatures.pair_folds import pair_folds

PEOPLE, VIDEOS, PAIRS = 20, 3, 6
FRAMES = (98, 99, 100, 101)  # by number, which is not by name


def write(root: Path, name: str, seed: int) -> None:
    """``aligned_images_DB`` of 20 people with 3 videos of 4 frames, and 10 x (6 + 6) pairs."""
    for person, shots in enumerate(people(PEOPLE, VIDEOS * len(FRAMES), seed)):
        for video in range(VIDEOS):
            folder = root / "aligned_images_DB" / person_name(person) / str(video)
            folder.mkdir(parents=True)
            for place, frame in enumerate(FRAMES):
                jpeg = shots[video * len(FRAMES) + place]
                (folder / f"aligned_detect_{video}.{frame}.jpg").write_bytes(jpeg)
    rows = ["split number, pair number, first name, second name, is same"]
    folds = pair_folds(PEOPLE, range(VIDEOS), range(VIDEOS), PAIRS, seed)
    for split, (same, diff) in enumerate(folds, start=1):
        for number, ((one, a), (two, b)) in enumerate(same + diff, start=1):
            videos = f"{person_name(one)}/{a}, {person_name(two)}/{b}"
            rows.append(f"{split}, {number}, {videos}, {int(one == two)}")
    (root / "splits.txt").write_text("\n".join(rows) + "\n")
