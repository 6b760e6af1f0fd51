"""Claims about finding faces: on crops and photos, in degrees, and as a command that outlives a kill."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from urface.cli import main
from urface.data import mesh_search
from urface.data.decode import encode_png
from urface.data.landmarks import (
    NO_FACE,
    OK,
    TURNED,
    UNDECODABLE,
    FaceFinder,
    Found,
    five_points,
)
from urface.data.mesh_search import failures, find_meshes
from urface.data.meshes import read_table
from urface.data.source import FaceSource, build_source
from urface.data.synthetic import ShotStyle, render_face
from urface.types import UserError
from urface.variations.head_pose import HeadPose, mean_face

pytestmark = pytest.mark.filterwarnings("ignore")  # of mediapipe's dependencies


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    try:
        return FaceFinder()
    except UserError:
        pytest.skip("needs mediapipe")


def picture(yaw: float, identity: int = 60_000, size: int = 112) -> Any:
    return render_face(1, identity, 0, size, style=ShotStyle(yaw=yaw, pitch=0.0, plain=True))


@pytest.mark.parametrize("size", [64, 112, 200])
def test_the_five_points_of_an_aligned_crop_are_found(finder: FaceFinder, size: int) -> None:
    errors = []
    for identity in range(60_000, 60_008):
        face = picture(0, identity, size)
        found = finder.find(face.image)
        assert found.status == OK
        assert found.mesh is not None
        errors.append(np.linalg.norm(five_points(found.mesh) - face.landmarks / size, axis=1))
    # The mesh's point 1 lies a little below what the renderer calls the tip of the nose.
    assert (np.median(errors, axis=0) < [0.03, 0.03, 0.06, 0.03, 0.03]).all()


def test_a_face_in_a_photo_that_is_not_square_is_found_where_it_is(finder: FaceFinder) -> None:
    face = picture(0)
    photo = np.full((300, 480, 3), 90, np.uint8)
    photo[100:250, 60:210] = cv2.resize(face.image, (150, 150))
    found = finder.find(photo)
    assert found.mesh is not None
    pixels = five_points(found.mesh) * [480, 300]
    expected = face.landmarks * (150 / 112) + [60, 100]
    assert np.linalg.norm(pixels - expected, axis=1).max() < 8
    alone = finder.find(face.image)
    assert found.pose.yaw == pytest.approx(alone.pose.yaw, abs=4)
    assert found.pose.roll == pytest.approx(alone.pose.roll, abs=4)


def test_yaw_is_measured_in_degrees_with_its_sign_and_a_turned_head_is_said_to_be(
    finder: FaceFinder,
) -> None:
    for yaw in (-40, -12, 12, 40):
        found = [finder.find(picture(yaw, identity).image) for identity in range(60_000, 60_006)]
        assert np.mean([f.pose.yaw for f in found]) == pytest.approx(yaw, abs=7)
        statuses = {f.status for f in found}
        assert statuses == {OK if abs(yaw) < 20 else TURNED}


def test_there_is_no_face_in_noise(finder: FaceFinder) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    found = finder.find(noise)
    assert found.status == NO_FACE
    assert found.mesh is None
    assert np.isnan(found.pose).all()


def test_without_mediapipe_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UserError, match=r"pip install --no-deps mediapipe==0\.10\.21"):
        FaceFinder()


class Pretender:
    """Finds a face whose depth tells the brightness of the image, none where it is dark."""

    calls = 0

    def find(self, image: np.ndarray) -> Found:
        Pretender.calls += 1
        level = float(image.mean())
        if level < 10:
            return Found(NO_FACE, None, HeadPose(*[float("nan")] * 3))
        mesh = (mean_face() * [1, -1, -1] + [0.5, 0.5, level / 255]).astype(np.float32)
        return Found(OK, mesh, HeadPose(level / 10, 0.0, 0.0))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh_search, "FaceFinder", Pretender)
    Pretender.calls = 0


def faces() -> FaceSource:
    keys = [f"p{i}/0.png" for i in range(10)]
    data = [encode_png(np.full((8, 8, 3), 20 * i, np.uint8)) for i in range(10)]
    data[4] = data[4][:-20]
    return build_source("faces", keys, [key[:2] for key in keys], data.__getitem__)


def test_failures_are_counted_and_listed(tmp_path: Path, pretended: None) -> None:
    out = tmp_path / "m.parquet"
    counts = find_meshes(faces(), out, progress=False, part=3)
    assert counts == {OK: 8, NO_FACE: 1, UNDECODABLE: 1}
    assert list(failures(out)) == [("p0/0.png", NO_FACE), ("p4/0.png", UNDECODABLE)]
    table = read_table(out)
    assert table["path"].to_pylist() == faces().keys
    assert table["width"].to_pylist() == [8] * 4 + [0] + [8] * 5
    assert [path.name for path in tmp_path.iterdir()] == ["m.parquet"]


def test_an_interrupted_search_goes_on_and_ends_with_the_same_file(
    tmp_path: Path, pretended: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole.parquet"
    find_meshes(faces(), whole, progress=False, part=3)
    calls = Pretender.calls
    out = tmp_path / "m.parquet"
    real = Pretender.find

    def killed(self: Pretender, image: np.ndarray) -> Found:
        if Pretender.calls == calls + 5:
            raise KeyboardInterrupt
        return real(self, image)

    monkeypatch.setattr(Pretender, "find", killed)
    with pytest.raises(KeyboardInterrupt):
        find_meshes(faces(), out, progress=False, part=3)
    assert not out.exists()
    monkeypatch.setattr(Pretender, "find", real)
    Pretender.calls = 0
    find_meshes(faces(), out, progress=False, part=3)
    assert 0 < Pretender.calls < calls  # parts that were done are not done again
    assert out.read_bytes() == whole.read_bytes()
    Pretender.calls = 0
    find_meshes(faces(), out, progress=False, part=3)
    assert Pretender.calls == 0


def test_files_of_other_images_are_refused(tmp_path: Path, pretended: None) -> None:
    out = tmp_path / "m.parquet"
    find_meshes(faces(), out, progress=False)
    other = build_source("other", ["q/0.png"], ["q"], lambda _: b"")
    with pytest.raises(UserError, match="meshes of other images"):
        find_meshes(other, out, progress=False)
    (tmp_path / "n.parquet.parts").mkdir()
    (tmp_path / "n.parquet.parts" / "source.json").write_text("{}")
    with pytest.raises(UserError, match="parts of another data set"):
        find_meshes(other, tmp_path / "n.parquet", progress=False)
    with pytest.raises(UserError, match=r"written as \.parquet"):
        find_meshes(other, tmp_path / "m.csv", progress=False)
    with pytest.raises(UserError, match="workers must be at least 1"):
        find_meshes(other, tmp_path / "k.parquet", workers=0, progress=False)


def test_the_command_writes_meshes_and_lists_what_failed(
    finder: FaceFinder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "faces"
    for identity in range(3):
        (folder / f"p{identity}").mkdir(parents=True)
        for name, yaw in (("a", 5.0), ("b", 50.0)):
            data = encode_png(picture(yaw, 60_000 + identity).image)
            (folder / f"p{identity}" / f"{name}.png").write_bytes(data)
    one = tmp_path / "one.parquet"
    assert main(["data", "landmarks", str(folder), "-o", str(one), "--failures"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [f"p{i}/b.png: {TURNED}" for i in range(3)]
    assert "6 images: 3 ok, 0 no face, 3 not near-frontal, 0 undecodable" in told.err
