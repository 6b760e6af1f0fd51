"""The people of a video: one template for each, its frames fused by inverse variance, and their weights."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from urface.atomic import atomic_path
from urface.photos.faces import find_faces
from urface.photos.found import Detector
from urface.photos.tracks import Tracker, TrackRules
from urface.photos.video import Video, is_cut
from urface.scoring import fuse
from urface.types import FaceEmbedding, UserError

FEWEST = 2  # frames of a track: what is seen once may be no face


class Embeds(Protocol):
    """What is needed of an Embedder."""

    def embed(self, images: Sequence[np.ndarray]) -> FaceEmbedding: ...


@dataclass(frozen=True, eq=False)
class People:
    """T people of a video.

    templates  FaceEmbedding of B = T, in the order in which they were first seen
    weights    a row for each sighting: person (from 1), frame, seconds, box, score, uncertainty, weight
               0..1 in the person's template (its mean over the sub-embeddings; the weights of a person sum
               to 1), and weight_00 ... of each sub-embedding
    frames     that were looked at
    passing    tracks of fewer than FEWEST frames, left out
    """

    templates: FaceEmbedding
    weights: pa.Table
    frames: int
    passing: int


def people_of(
    video: Video,
    detector: Detector,
    embedder: Embeds,
    fewest: int = FEWEST,
    progress: bool = False,
) -> People:
    """Find, follow, embed and fuse the faces of ``video``. Raises UserError where there is none."""
    # A face that is in sight in each frame looked at is followed, however far these lie apart.
    tracker = Tracker(TrackRules(gap=max(TrackRules.gap, 1.5 * video.seconds)))
    rows: list[dict[str, object]] = []
    parts: list[FaceEmbedding] = []
    frames = 0
    before: np.ndarray | None = None
    bar = tqdm(video, video.path.name, len(video) or None, unit=" frames", disable=not progress)
    for frame in bar:
        frames += 1
        cut = before is not None and is_cut(before, frame.image)
        before = frame.image
        found = find_faces(frame.image, detector)
        if not found:
            continue
        faces = embedder.embed([face.image for face in found])
        boxes = np.stack([face.face.box for face in found])
        numbers = tracker.follow(frame.seconds, boxes, faces, cut)
        parts.append(faces)
        for face, number in zip(found, numbers, strict=True):
            rows.append(
                {
                    "track": number,
                    "frame": frame.number,
                    "seconds": frame.seconds,
                    "box": face.face.box.tolist(),
                    "score": face.face.score,
                }
            )
    if not rows:
        raise UserError(f"{video.path}: no face in any of the {frames} frames looked at")
    return _people(rows, FaceEmbedding.concatenate(parts), frames, fewest)


def frame_weights(variance: np.ndarray, person: np.ndarray) -> np.ndarray:
    """[N, K]: the share of each of N frames in its person's template, (1 / v) / sum of 1 / v (eq. PA)."""
    precision = 1 / variance.astype(np.float64)
    total = np.zeros((int(person.max()) + 1, precision.shape[1]))
    np.add.at(total, person, precision)
    shares: np.ndarray = precision / total[person]
    return shares


def write_weights(path: str | Path, weights: pa.Table) -> None:
    """Write the table of weights as .csv or .parquet. Raises UserError for another ending."""
    file = Path(path)
    check_weights_path(file)
    with atomic_path(file) as temporary:
        if file.suffix.lower() == ".parquet":
            pq.write_table(weights, temporary)
            return
        with open(temporary, "w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(weights.column_names)
            writer.writerows(zip(*(weights[n].to_pylist() for n in weights.column_names)))  # noqa: B905


def check_weights_path(path: str | Path) -> None:
    """Raise UserError where ``write_weights`` would."""
    if Path(path).suffix.lower() not in (".csv", ".parquet"):
        raise UserError(f"{path}: weights are written as .csv or .parquet")


def _people(
    rows: list[dict[str, object]], faces: FaceEmbedding, frames: int, fewest: int
) -> People:
    track = np.array([row["track"] for row in rows])
    times = np.bincount(track)
    # A video of one frame has people too.
    enough = times >= min(fewest, frames)
    kept = enough[track]
    passing = int((times > 0).sum() - (enough & (times > 0)).sum())
    if not kept.any():
        raise UserError(f"no face was seen in {fewest} frames one after another: raise --fps")
    _, person = np.unique(track[kept], return_inverse=True)
    chosen = faces[np.flatnonzero(kept)]
    shares = frame_weights(np.asarray(chosen.sub_variance), person)
    boxes = np.array([row["box"] for row in rows], np.float64)[kept]
    columns: dict[str, object] = {"person": person + 1}
    for name in ("frame", "seconds"):
        columns[name] = np.array([row[name] for row in rows])[kept]
    columns |= {f"box_{side}": boxes[:, n] for n, side in enumerate(("x0", "y0", "x1", "y1"))}
    columns["score"] = np.array([row["score"] for row in rows])[kept]
    columns["uncertainty"] = np.asarray(chosen.uncertainty)
    columns["weight"] = shares.mean(1)
    columns |= {f"weight_{k:02d}": shares[:, k] for k in range(shares.shape[1])}
    return People(fuse(chosen, person), pa.table(columns), frames, passing)
