"""CFP in small: ten frontal and four profile images of each person, both protocols."""

from __future__ import annotations

from pathlib import Path

from urface.benchmarks.miniatures.faces import people, profiles
from urface.benchmarks.miniatures.pair_folds import pair_folds
from urface.data.synthetic import ShotStyle

PEOPLE, FRONTAL, PROFILE, PAIRS = 20, 10, 4, 14


def write(root: Path, name: str, seed: int) -> None:
    """``Data/Images`` of 20 people and ``Protocol`` with 10 splits of 14 + 14 pairs, FF and FP.

    CFP's ``Data/Fiducials`` are left out: the images are aligned, and no protocol reads them.
    """
    views = {
        "frontal": people(PEOPLE, FRONTAL, seed, style=ShotStyle(frontal=True)),
        "profile": profiles(PEOPLE, PROFILE, seed),
    }
    protocol = root / "Protocol"
    protocol.mkdir()
    for view, shots_of in views.items():
        listed: list[str] = []
        for person, shots in enumerate(shots_of, start=1):
            folder = root / "Data" / "Images" / f"{person:03d}" / view
            folder.mkdir(parents=True)
            for shot, jpeg in enumerate(shots, start=1):
                (folder / f"{shot:02d}.jpg").write_bytes(jpeg)
                path = f"../Data/Images/{person:03d}/{view}/{shot:02d}.jpg"
                listed.append(f"{len(listed) + 1} {path}\n")
        (protocol / f"Pair_list_{view[0].upper()}.txt").write_text("".join(listed))
    for part, second in (("FF", FRONTAL), ("FP", PROFILE)):
        folds = pair_folds(PEOPLE, range(FRONTAL), range(second), PAIRS, seed)
        for split, kinds in enumerate(folds, start=1):
            folder = protocol / "Split" / part / f"{split:02d}"
            folder.mkdir(parents=True)
            for kind, pairs in zip(("same", "diff"), kinds, strict=True):
                rows = [
                    f"{one * FRONTAL + a + 1},{two * second + b + 1}\n"
                    for (one, a), (two, b) in pairs
                ]
                (folder / f"{kind}.txt").write_text("".join(rows))
