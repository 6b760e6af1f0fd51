"""Claims about the true views of synthetic faces on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from urface.data.synthetic import ShotStyle, render_face, write_synthetic
from urface.data.synthetic.turned import true_views
from urface.types import UserError

STYLE = ShotStyle(light=(10.0, 20.0), max_yaw=30.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("faces")
    return [
        write_synthetic(
            root / name, seed=3, identities=people, shots=2, size=48, style=STYLE, progress=False
        )
        for name, people in (("a", range(5, 7)), ("b", range(90, 91)))
    ]


def test_at_its_own_yaw_a_face_is_the_one_that_was_written(folders: list[Path]) -> None:
    turn = true_views(folders)
    assert turn is not None
    for identity in (6, 90):
        face = render_face(3, identity, 1, 48, style=STYLE)
        np.testing.assert_array_equal(turn(f"p{identity:05d}/001.jpg", face.yaw), face.image)


def test_at_another_yaw_it_is_the_same_shot_turned(folders: list[Path]) -> None:
    turn = true_views(folders)
    assert turn is not None
    style = ShotStyle(light=(10.0, 20.0), max_yaw=30.0, yaw=-50.0)
    expected = render_face(3, 5, 0, 48, style=style)
    assert expected.yaw == -50
    np.testing.assert_array_equal(turn("p00005/000.jpg", -50.0), expected.image)


def test_faces_that_are_not_synthetic_have_no_true_view(
    folders: list[Path], tmp_path: Path
) -> None:
    assert true_views([tmp_path]) is None
    assert true_views([*folders, tmp_path]) is None
    assert true_views([]) is None


@pytest.mark.parametrize("change", [{"seed": 4}, {"renderer_version": 1}, {"size": 64}])
def test_folders_made_otherwise_have_no_true_view_together(
    change: dict[str, int], folders: list[Path], tmp_path: Path
) -> None:
    values = json.loads((folders[0] / "synthetic.json").read_text())
    (tmp_path / "synthetic.json").write_text(json.dumps(values | change))
    assert true_views([folders[0], tmp_path]) is None


def test_a_name_that_is_no_address_is_refused(folders: list[Path]) -> None:
    turn = true_views(folders)
    assert turn is not None
    with pytest.raises(UserError, match=r"ada/x\.jpg: not the name of a synthetic face"):
        turn("ada/x.jpg", 10.0)
