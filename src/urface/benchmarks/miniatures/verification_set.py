"""InsightFace's ``<name>.bin`` in small, for the sets that are passed around in that form."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from urface.benchmarks.miniatures.faces import people, profiles
from urface.benchmarks.miniatures.pair_folds import pair_folds
from urface.data.synthetic import ShotStyle
from urface.data.verification_bin import write_verification_bin

PEOPLE, SHOTS, PAIRS = 40, 3, 12
CROSS_POSE = ("cplfw", "vgg2_fp")
MIXED_QUALITY = ShotStyle(low_resolution_share=0.5)


def write(root: Path, name: str, seed: int) -> None:
    """``<name>.bin`` of 40 people and 10 x (12 + 12) pairs: frontal with profile where the set is of
    poses, of mixed resolution where it is ``xqlfw``."""
    style = MIXED_QUALITY if name == "xqlfw" else None
    left = people(PEOPLE, SHOTS, seed, style=style)
    right = profiles(PEOPLE, SHOTS, seed) if name in CROSS_POSE else left
    images: list[bytes] = []
    same: list[bool] = []
    for kinds in pair_folds(PEOPLE, range(SHOTS), range(SHOTS), PAIRS, seed):
        for is_same, pairs in zip((True, False), kinds, strict=True):
            for (one, a), (two, b) in pairs:
                images += [left[one][a], right[two][b]]
                same.append(is_same)
    write_verification_bin(root / f"{name}.bin", images, np.array(same, bool))
