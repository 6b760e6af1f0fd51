"""Synthetic faces as an ordinary data set on disk: folders of JPEGs and a manifest."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from urface.atomic import atomic_path, write_atomic
from urface.data.synthetic.face import RENDERER_VERSION, VARIATION_LABELS, render_face
from urface.data.synthetic.shot import ShotStyle
from urface.types import UserError

MARKER, MANIFEST, TRUTH = "synthetic.json", "manifest.parquet", "truth.json"
COLUMNS = ("path", "identity", *VARIATION_LABELS, "yaw", "pitch", "roll")
Job = tuple[str, int, int, int, int, ShotStyle, int]


def write_synthetic(
    folder: str | Path,
    *,
    seed: int,
    identities: range,
    shots: int,
    size: int = 112,
    style: ShotStyle | None = None,
    quality: int = 95,
    progress: bool = True,
    workers: int = 1,
) -> Path:
    """Write ``folder``/p00012/003.jpg for every identity and shot, then the manifest; returns ``folder``.

    The manifest (Parquet: path, identity, the six labels 0..1, yaw, pitch, roll in degrees) comes
    last and whole, so a folder that has one is complete. ``synthetic.json`` records the parameters:
    a second call with the same ones does nothing, an interrupted one goes on where it stopped.
    Raises UserError where the folder holds anything else or a number is out of range.
    """
    if not identities or shots < 1:
        raise UserError("write_synthetic needs at least one identity and one shot")
    if not 1 <= quality <= 100 or workers < 1:
        raise UserError(f"quality must be 1..100 and workers at least 1: {quality}, {workers}")
    folder, style = Path(folder), style or ShotStyle()
    parameters = _parameters(seed, identities, shots, size, style, quality)
    _claim(folder, parameters)
    if (folder / MANIFEST).is_file():
        return folder
    jobs: list[Job] = [
        (str(folder), seed, identity, shots, size, style, quality) for identity in identities
    ]
    rows: list[dict[str, Any]] = []
    bar = tqdm(total=len(jobs), unit="people", disable=not progress, desc=f"faces to {folder.name}")
    with bar:
        for part in _run(jobs, workers):
            rows.extend(part)
            bar.update()
    table = pa.table({name: [row[name] for row in rows] for name in COLUMNS})
    with atomic_path(folder / MANIFEST) as temporary:
        pq.write_table(table, temporary)
    return folder


def _parameters(
    seed: int, identities: range, shots: int, size: int, style: ShotStyle, quality: int
) -> dict[str, Any]:
    return {
        "renderer_version": RENDERER_VERSION,
        "seed": seed,
        "identities": [identities.start, identities.stop, identities.step],
        "shots": shots,
        "size": size,
        "quality": quality,
        "style": asdict(style),
    }


def _claim(folder: Path, parameters: dict[str, Any]) -> None:
    """Mark ``folder`` as ours before the first image, or check that it already is."""
    marker = folder / MARKER
    text = json.dumps(parameters, indent=2)
    if marker.is_file():
        if marker.read_text() != text:
            raise UserError(
                f"{folder} holds synthetic faces of other parameters (see {MARKER}): choose "
                "another folder or delete this one"
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty and has no {MARKER}: choose another folder")
    else:
        write_atomic(marker, text)


def _run(jobs: list[Job], workers: int) -> Any:
    if workers == 1:
        yield from map(_write_identity, jobs)
        return
    # spawn: a fork would copy the threads' locks that OpenCV and torch hold
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_identity, jobs, chunksize=4)


def _write_identity(job: Job) -> list[dict[str, Any]]:
    """Write one identity's folder under a temporary name, rename it, and return its rows."""
    root, seed, identity, shots, size, style, quality = job
    name = f"p{identity:05d}"
    target = Path(root) / name
    if (target / TRUTH).is_file():
        rows: list[dict[str, Any]] = json.loads((target / TRUTH).read_text())
        return rows
    temporary = Path(root) / f".{name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    rows = []
    for shot in range(shots):
        face = render_face(seed, identity, shot, size, style=style)
        _, code = cv2.imencode(".jpg", face.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        (temporary / f"{shot:03d}.jpg").write_bytes(code.tobytes())
        pose = {"yaw": face.yaw, "pitch": face.pitch, "roll": face.roll}
        rows.append({"path": f"{name}/{shot:03d}.jpg", "identity": name, **face.labels, **pose})
    (temporary / TRUTH).write_text(json.dumps(rows))
    temporary.rename(target)
    return rows
