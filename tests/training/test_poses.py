"""Claims about training with poses: meshes are asked for by name, and used."""

from __future__ import annotations

from pathlib import Path

import pytest

from urface.config import DataSettings, TrainSettings, VariationSettings
from urface.data.source import FaceSource, build_source
from urface.training.train import training_meshes
from urface.types import UserError


def source() -> FaceSource:
    return build_source("faces", ["p0/0.png", "p1/0.png"], ["p0", "p1"], lambda _: b"")


def settings(pose: float, meshes: str = "") -> TrainSettings:
    return TrainSettings(
        data=DataSettings(train="faces.tar", meshes=meshes), variations=VariationSettings(pose=pose)
    )


def test_poses_without_meshes_name_the_command_that_makes_them() -> None:
    with pytest.raises(UserError, match=r"urface data landmarks faces\.tar"):
        training_meshes(settings(0.3), source())


def test_a_missing_file_of_meshes_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        training_meshes(settings(0.3, str(tmp_path / "none.parquet")), source())


def test_without_poses_no_meshes_are_read(tmp_path: Path) -> None:
    assert training_meshes(settings(0.0, str(tmp_path / "none.parquet")), source()) is None
