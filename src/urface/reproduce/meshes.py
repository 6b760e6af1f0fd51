"""Face meshes for a reproduction: found where pose is asked for, and turned into views of test faces.

The two hooks below are what the pose part fills: they import it where they are called, so that nothing
of it is needed for rows and conditions without pose.
"""

from __future__ import annotations

from pathlib import Path

from urface.config_reproduce import ReproduceSettings
from urface.data.source import FaceSource
from urface.evaluation.conditions import Turn
from urface.types import UserError

POSE_CONDITIONS = ("pose", "yaw")


def prepare_meshes(source: FaceSource, out: Path, progress: bool = True) -> Path:
    """Find the meshes of all faces of ``source``, once, into the .parquet ``out``; its path."""
    if out.is_file():
        return out
    raise UserError(
        "pose: face meshes cannot be found here yet: give settings.data.meshes and test_meshes"
    )


def turn_of(meshes: Path) -> Turn:
    """What turns a test face, by the meshes in a .parquet that ``prepare_meshes`` wrote."""
    raise UserError(f"{meshes}: test faces cannot be turned here yet: leave the condition out")


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
    return turn_of(Path(meshes)) if meshes else None
