"""Claims about synthetic data sets on disk: complete or resumable, never mixed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from urface.data.synthetic import VARIATION_LABELS, ShotStyle, render_face, write, write_synthetic
from urface.types import UserError

SET: dict[str, Any] = {
    "seed": 2,
    "identities": range(12, 16),
    "shots": 3,
    "size": 48,
    "progress": False,
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_manifest_lists_every_face_with_its_truth(tmp_path: Path) -> None:
    folder = write_synthetic(tmp_path / "faces", **SET)
    table = pq.read_table(folder / "manifest.parquet").to_pydict()
    assert list(table) == ["path", "identity", *VARIATION_LABELS, "yaw", "pitch", "roll"]
    assert len(table["path"]) == 12
    assert table["path"][4] == "p00013/001.jpg"
    assert table["identity"][4] == "p00013"
    face = render_face(2, 13, 1, 48)
    assert {name: table[name][4] for name in VARIATION_LABELS} == face.labels
    assert table["yaw"][4] == face.yaw
    image = cv2.imread(str(folder / table["path"][4]))
    assert image is not None
    assert np.abs(image[..., ::-1].astype(float) - face.image).mean() < 4.0


def test_a_second_call_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_synthetic(tmp_path / "faces", **SET)
    before = contents(folder)
    monkeypatch.setattr(write, "render_face", None)  # rendering anything would now fail
    assert write_synthetic(folder, **SET) == folder
    assert contents(folder) == before


def test_an_interrupted_call_is_resumed_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_synthetic(tmp_path / "whole", **SET)
    rendered: list[int] = []

    def failing(seed: int, identity: int, shot: int, size: int, **rest: Any) -> Any:
        if len(rendered) == 7:
            raise KeyboardInterrupt
        rendered.append(identity)
        return render_face(seed, identity, shot, size, **rest)

    folder = tmp_path / "cut"
    monkeypatch.setattr(write, "render_face", failing)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic(folder, **SET)
    assert not (folder / "manifest.parquet").exists()
    assert not (folder / "p00014").exists()
    rendered.clear()
    monkeypatch.setattr(
        write, "render_face", lambda *a, **k: rendered.append(a[1]) or render_face(*a, **k)
    )
    write_synthetic(folder, **SET)
    assert set(rendered) == {14, 15}
    assert contents(folder) == contents(whole)


def test_workers_write_the_same_bytes(tmp_path: Path) -> None:
    alone = write_synthetic(tmp_path / "alone", **SET)
    shared = write_synthetic(tmp_path / "shared", **SET, workers=2)
    assert contents(alone) == contents(shared)


def test_a_folder_of_other_parameters_is_refused(tmp_path: Path) -> None:
    folder = write_synthetic(tmp_path / "faces", **SET)
    with pytest.raises(UserError, match="other parameters"):
        write_synthetic(folder, **{**SET, "shots": 4})
    with pytest.raises(UserError, match="other parameters"):
        write_synthetic(folder, **SET, style=ShotStyle(frontal=True))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write_synthetic(tmp_path, **SET)
    assert contents(tmp_path) == {"letter.txt": b"mine"}


@pytest.mark.parametrize("change", [{"shots": 0}, {"identities": range(0)}, {"quality": 0}])
def test_impossible_numbers_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        write_synthetic(tmp_path / "faces", **{**SET, **change})
    assert not (tmp_path / "faces").exists()
