"""Face meshes for a reproduction: found where pose is asked for, and turned into views of test faces."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from urface.config_reproduce import ReproduceSettings
from urface.data.mesh_search import find_meshes
from urface.data.meshes import open_meshes
from urface.data.source import FaceSource
from urface.evaluation.conditions import Turn
from urface.variations.pose import turned_view

POSE_CONDITIONS = ("pose", "yaw")


def prepare_meshes(source: FaceSource, out: Path, progress: bool = True) -> Path:
    """Find the meshes of all faces of ``source``, once, into the .parquet ``out``; its path."""
    out.parent.mkdir(parents=True, exist_ok=True)
    find_meshes(source, out, workers=os.cpu_count() or 1, progress=progress)
    return out


def turn_of(meshes: Path, source: FaceSource) -> Turn:
    """What turns the faces of ``source``, by the meshes in a .parquet that ``prepare_meshes`` wrote.

    A face without a mesh, or one that does not look ahead, comes back as it was.
    """
    found = open_meshes(str(meshes), source)
    place_of = {key: place for place, key in enumerate(source.keys)}

    def turn(image: np.ndarray, key: str, yaw: float, pitch: float) -> np.ndarray:
        head = found.head(place_of[key], image.shape[0])
        return image if head is None else turned_view(image, head, yaw, pitch)

    turn.stamp = hashlib.sha256(meshes.read_bytes()).hexdigest()[:16]  # type: ignore[attr-defined]
    return turn


def train_meshes(settings: ReproduceSettings, source: FaceSource, progress: bool) -> str:
    """The file of meshes that training needs: the one named, or for synthetic faces one made here."""
    plan = settings.settings
    if plan.data.meshes or not plan.variations.pose or settings.train:
        return plan.data.meshes
    return str(prepare_meshes(source, Path(settings.out) / "meshes" / "train.parquet", progress))


def turn_test_faces(settings: ReproduceSettings, source: FaceSource, progress: bool) -> Turn | None:
    """What turns test faces, or None where no condition asks for it or nothing can."""
    if not any(key.startswith(POSE_CONDITIONS) for key in settings.conditions):
        return None
    meshes = settings.test_meshes
    if not meshes and not settings.test_lfw:
        folder = Path(settings.out) / "meshes"
        meshes = str(prepare_meshes(source, folder / "test.parquet", progress))
    return turn_of(Path(meshes), source) if meshes else None
