"""LFW in small: folders of people and ``pairs.txt``."""

from __future__ import annotations

from pathlib import Path

from urface.benchmarks.image_pairs import FOLDS
from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.miniatures.pair_folds import pair_folds

PEOPLE, SHOTS, PAIRS = 40, 3, 12


def write(root: Path, name: str, seed: int) -> None:
    """``lfw/Person_001/Person_001_0001.jpg``, 40 people with 3 images, and 10 x (12 + 12) pairs."""
    for person, shots in enumerate(people(PEOPLE, SHOTS, seed)):
        folder = root / "lfw" / person_name(person)
        folder.mkdir(parents=True)
        for shot, jpeg in enumerate(shots, start=1):
            (folder / f"{person_name(person)}_{shot:04d}.jpg").write_bytes(jpeg)
    lines = [f"{FOLDS}\t{PAIRS}"]
    for same, diff in pair_folds(PEOPLE, range(1, SHOTS + 1), range(1, SHOTS + 1), PAIRS, seed):
        lines += [f"{person_name(one)}\t{a}\t{b}" for (one, a), (_, b) in same]
        lines += [
            f"{person_name(one)}\t{a}\t{person_name(two)}\t{b}" for (one, a), (two, b) in diff
        ]
    (root / "pairs.txt").write_text("\n".join(lines) + "\n")


def person_name(person: int) -> str:
    """As LFW's: words joined by underscores."""
    return f"Person_{person + 1:03d}"
