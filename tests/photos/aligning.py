"""A folder of photos for the made detector: a bright corner is a face. Also a process to kill."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from urface.commands.given import find_faces
from urface.data.decode import encode_png
from urface.photos.align import align_photos

FACES, NONE, DAMAGED = 14, 3, 2


def write_photos(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for number in range(FACES + NONE):
        photo = random.integers(0, 256, (90, 90, 3)).astype(np.uint8)
        photo[:4, :4] = 255 if number < FACES else 0
        if number >= FACES:
            for corner in (photo[:4, -4:], photo[-4:, :4], photo[-4:, -4:]):
                corner[:] = 0
        path = folder / f"p{number % 4}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(photo))
    for number in range(DAMAGED):
        (folder / "p0" / f"damaged{number}.jpg").write_bytes(b"\xff\xd8 no picture")
    return folder


if __name__ == "__main__":
    given, crops, detector, jobs = sys.argv[1:]
    sources = find_faces([given], photos=True)
    align_photos(sources, crops, detector=detector, jobs=int(jobs), progress=False)
