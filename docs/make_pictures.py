"""Draw the pictures of the README and the docs: synthetic faces only. `python docs/make_pictures.py`"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from urface.atomic import write_atomic
from urface.data.decode import encode_jpeg
from urface.data.synthetic import render_face

PEOPLE, SHOTS, FIRST = 4, 9, 3_000_000


def main() -> None:
    rows = [
        np.concatenate([render_face(0, FIRST + person, shot).image for shot in range(SHOTS)], 1)
        for person in range(PEOPLE)
    ]
    path = Path(__file__).parent / "synthetic_faces.jpg"
    write_atomic(path, encode_jpeg(np.concatenate(rows), quality=88))
    print(path)


if __name__ == "__main__":
    main()
