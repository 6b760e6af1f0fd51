"""A small TinyFace: its identification test, with the lists as MATLAB writes them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.miniatures.pictures import save
from urface.data.decode import decode_image, encode_jpeg

PEOPLE, SHOTS, STRANGERS = 12, 5, 40
TITLE, TITLE_BYTES = b"MATLAB 5.0 MAT-file", 116
SIDE = 24  # pixels of an image: TinyFace's are 20 by 16 on average


def write(root: Path, name: str, seed: int) -> None:
    """12 people with three probes and two gallery faces each, and 40 strangers."""
    base = root / "Testing_Set"
    probes: list[str] = []
    matches: list[str] = []
    for person, shots in enumerate(people(PEOPLE, SHOTS, seed)):
        for shot, face in enumerate(shots):
            file = f"{person + 1}_{shot + 1}.jpg"
            folder, listed = ("Probe", probes) if shot < 3 else ("Gallery_Match", matches)
            save(base / folder / file, _tiny(face))
            listed.append(file)
    for number, shots in enumerate(people(STRANGERS, 1, seed, first=PEOPLE)):
        save(base / "Gallery_Distractor" / f"{number + 1}.jpg", _tiny(shots[0]))
    _save_list(base / "probe_img_ID_pairs.mat", "probe", probes)
    _save_list(base / "gallery_match_img_ID_pairs.mat", "gallery", matches)
    save(base / "aligner.txt", "none: rendered on the five-point template\n")


def _tiny(face: bytes) -> bytes:
    image = cv2.resize(decode_image(face), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return encode_jpeg(image)


def _save_list(path: Path, prefix: str, names: list[str]) -> None:
    cells = np.empty((len(names), 1), object)
    cells[:, 0] = names
    ids = np.array([[float(name.partition("_")[0])] for name in names])
    data = BytesIO()
    savemat(data, {f"{prefix}_set": cells, f"{prefix}_ids": ids}, do_compression=True)
    # Its first words tell the time, and a seed is to give the same bytes at any.
    save(path, TITLE.ljust(TITLE_BYTES) + data.getvalue()[TITLE_BYTES:])
