"""Layouts of 4 x 4 images, for tests that change a row: the miniatures would be rendered for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from urface.data.decode import encode_png

FOLDS = 10


@cache
def image(number: int) -> bytes:
    """A PNG of one colour, which is ``number`` in its red."""
    return encode_png(np.full((4, 4, 3), (number % 256, number // 256, 7), np.uint8))


def number_of(face: np.ndarray) -> int:
    """The number of an image that was read."""
    return int(face[0, 0, 0]) + 256 * int(face[0, 0, 1])


def put(path: Path, data: bytes | str | Sequence[str]) -> Path:
    """Write bytes, text, or lines to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        path.write_text(data if isinstance(data, str) else "".join(f"{row}\n" for row in data))
    return path


def edit(path: Path, line: int, text: str | None) -> None:
    """Put ``text`` in the place of line ``line``, from 1; None takes it out."""
    lines = path.read_text().split("\n")
    lines[line - 1 : line] = [] if text is None else [text]
    path.write_text("\n".join(lines))


def lfw(root: Path, images: str = "images", listing: str = "pairs.txt") -> Path:
    """Ten folds of one pair of P<k> and one of P<k> and Q<k>; image 1 of P3 is number 31, of Q3 131."""
    rows = ["10\t1"]
    for k in range(FOLDS):
        for shot in (1, 2):
            put(root / images / f"P{k}" / f"P{k}_{shot:04d}.png", image(10 * k + shot))
        put(root / images / f"Q{k}" / f"Q{k}_0001.png", image(100 + 10 * k + 1))
        rows += [f"P{k}\t1\t2", f"P{k}\t2\tQ{k}\t1"]
    put(root / listing, rows)
    return root


def cfp(root: Path) -> Path:
    """Ten people, 001 with frontal images 01, 02 and a profile 01; in each split one pair of each kind."""
    lists: dict[str, list[str]] = {"frontal": [], "profile": []}
    for k in range(FOLDS):
        for view, shots in (("frontal", (1, 2)), ("profile", (1,))):
            for shot in shots:
                path = f"Data/Images/{k + 1:03d}/{view}/{shot:02d}.jpg"
                put(root / path, image(10 * k + shot + 5 * (view == "profile")))
                lists[view].append(f"{len(lists[view]) + 1} ../{path}")
        other = (k + 1) % FOLDS
        for part, same, diff in (
            ("FF", f"{2 * k + 1},{2 * k + 2}", f"{2 * k + 1},{2 * other + 1}"),
            ("FP", f"{2 * k + 1},{k + 1}", f"{2 * k + 1},{other + 1}"),
        ):
            folder = root / "Protocol" / "Split" / part / f"{k + 1:02d}"
            put(folder / "same.txt", [same])
            put(folder / "diff.txt", [diff])
    put(root / "Protocol" / "Pair_list_F.txt", lists["frontal"])
    put(root / "Protocol" / "Pair_list_P.txt", lists["profile"])
    return root


def calfw(root: Path, listing: str = "pairs_CALFW.txt", counted: bool = True) -> Path:
    """Ten pairs of one person, then ten of two; ``counted`` labels the first by their folds, as CALFW."""
    rows, others = [], []
    for k in range(FOLDS):
        for shot in (1, 2):
            put(root / "aligned images" / f"P{k}_{shot:04d}.jpg", image(10 * k + shot))
        label = k + 1 if counted else 1
        rows += [f"P{k}_0001.jpg {label}", f"P{k}_0002.jpg {label}"]
        others += [f"P{k}_0001.jpg 0", f"P{(k + 1) % FOLDS}_0002.jpg 0"]
    put(root / listing, rows + others)
    return root


def ytf(root: Path, folder: str = "aligned_images_DB", prefix: str = "aligned_detect_") -> Path:
    """Ten splits of one pair of each kind; each of ten people has videos 0 and 1 of frames 9 and 10."""
    rows = ["split number, pair number, first name, second name, is same"]
    for k in range(FOLDS):
        for video in (0, 1):
            for frame in (9, 10):
                path = f"P{k}/{video}/{prefix}{video}.{frame}.jpg"
                put(root / folder / path, image(100 * video + 10 * k + frame % 10))
        rows.append(f"{k + 1}, 1, P{k}/0, P{k}/1, 1")
        rows.append(f"{k + 1}, 2, P{k}/0, P{(k + 1) % FOLDS}/1, 0")
    put(root / "splits.txt", rows)
    return root
