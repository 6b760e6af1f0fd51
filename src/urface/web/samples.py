"""The page's sample faces, of nobody: `python -m urface.web.samples` draws them again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from urface.atomic import write_atomic
from urface.data.decode import encode_jpeg
from urface.data.synthetic import ShotStyle, render_face

FOLDER = Path(__file__).parent / "page"
SEED, SIZE, QUALITY = 11, 224, 88
# Two shots of one person, one of another, and the first person where little can be seen; chosen so that the
# demonstration model has an answer of each kind: one person, two, too unsure to say.
SAMPLES = {
    "sample_a.jpg": (2, 3, ShotStyle()),
    "sample_b.jpg": (2, 23, ShotStyle()),
    "sample_c.jpg": (6, 5, ShotStyle()),
    "sample_d.jpg": (2, 6, ShotStyle(low_resolution_share=1.0, occlusion_share=1.0)),
}


def sample(name: str) -> np.ndarray:
    """The pixels of one of SAMPLES, [SIZE, SIZE, 3] RGB uint8."""
    identity, shot, style = SAMPLES[name]
    return render_face(SEED, identity, shot, SIZE, style=style).image


def main() -> None:
    """Write all of them into the page's folder."""
    for name in SAMPLES:
        write_atomic(FOLDER / name, encode_jpeg(sample(name), QUALITY))


if __name__ == "__main__":
    main()
