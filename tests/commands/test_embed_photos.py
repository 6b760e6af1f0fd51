"""`urface embed` and `urface compare` of photos and videos: keys, failures, and hints."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from photos.scenes import face, scene, write_video
from small_model import SETTINGS, one_thread, small_model  # noqa: F401
from urface.cli import main
from urface.config import ObjectiveSettings
from urface.data.decode import encode_jpeg, encode_png, read_image
from urface.embedder import load
from urface.models.files import save_model
from urface.photos import find_faces, open_detector
from urface.types import FaceEmbedding, load_keys

pytest.importorskip("mediapipe", reason="finds faces: make setup-faces")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save_model(path, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {})
    return str(path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One face, two faces, none, and no picture."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "d").mkdir()
    one = scene([(1, 110, 110, 140)], 240, 240)
    two = scene([(1, 110, 110, 140), (2, 300, 110, 110)], 400, 240)
    (folder / "one.jpg").write_bytes(encode_jpeg(one))
    (folder / "d" / "two.png").write_bytes(encode_png(two))
    (folder / "none.png").write_bytes(encode_png(scene([], 200, 200)))
    (folder / "no_photo.jpg").write_bytes(b"nothing")
    return folder


def test_photos_are_embedded_by_their_largest_face_and_failures_stay_listed(
    model: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.safetensors"
    assert main(["embed", model, str(photos), "-o", str(out)]) == 0
    assert load_keys(out) == ["d/two.png", "one.jpg"]
    errors = capsys.readouterr().err
    assert "2 faces of 4 photos, 1 undecodable, 1 no face" in errors
    assert "no face: none.png: " in errors
    listed = tmp_path / "o.safetensors.failures.csv"
    rows = list(csv.reader(listed.read_text().splitlines()))
    assert [row[:2] for row in rows] == [
        ["photo", "outcome"],
        ["no_photo.jpg", "undecodable"],
        ["none.png", "no face"],
    ]
    image = find_faces(read_image(photos / "one.jpg"), open_detector())[0].image
    expected = load(model).embed([image])
    np.testing.assert_allclose(FaceEmbedding.load(out).mean[1:], expected.mean, atol=2e-2)


def test_all_faces_of_a_photo_have_numbered_keys_also_out_of_a_tar(
    model: str, photos: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "photos.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("one.jpg", "d/two.png"):  # at two depths
            tar.add(photos / name, arcname=f"x/{name}")
    out = tmp_path / "o.safetensors"
    assert main(["embed", model, str(archive), "-o", str(out), "--faces", "all"]) == 0
    assert load_keys(out) == ["x/d/two.png#1", "x/d/two.png#2", "x/one.jpg#1"]
    assert not (tmp_path / "o.safetensors.failures.csv").exists()


def test_what_was_aligned_embeds_like_its_photo(model: str, photos: Path, tmp_path: Path) -> None:
    crops, direct, aligned = (
        tmp_path / "crops",
        tmp_path / "d.safetensors",
        tmp_path / "a.safetensors",
    )
    assert main(["align", str(photos), "-o", str(crops)]) == 0
    assert main(["embed", model, str(photos), "-o", str(direct)]) == 0
    assert main(["embed", model, "--aligned", str(crops), "-o", str(aligned)]) == 0
    assert load_keys(aligned) == ["d/two.png-1.png", "one.jpg-1.png"]
    np.testing.assert_array_equal(FaceEmbedding.load(direct).mean, FaceEmbedding.load(aligned).mean)


def test_a_photo_without_a_face_alone_is_one_line(
    model: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.safetensors"
    assert main(["embed", model, str(photos / "none.png"), "-o", str(out)]) == 2
    assert "no face in any of 1 photos, 1 no face: nothing to write" in capsys.readouterr().err
    assert not out.exists()
    assert (tmp_path / "o.safetensors.failures.csv").exists()


def test_compare_takes_photos_and_says_what_it_took(
    model: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(photos / "one.jpg"), str(photos / "d" / "two.png")]
    assert main(["compare", model, *paths, "--json"]) == 0
    captured = capsys.readouterr()
    assert "two.png has 2 faces: the largest is compared" in captured.err
    assert json.loads(captured.out)["cosine"] > 0.9  # the same render in both photos
    assert main(["compare", model, paths[0], str(photos / "none.png")]) == 2
    assert "none.png: no face found" in capsys.readouterr().err


def test_a_crop_given_as_a_photo_gets_a_hint(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crop, blank = tmp_path / "crop.png", tmp_path / "blank.png"
    crop.write_bytes(encode_png(cv2.resize(face(1), (112, 112), interpolation=cv2.INTER_AREA)))
    blank.write_bytes(encode_png(np.full((112, 112, 3), 90, np.uint8)))
    assert main(["compare", model, str(crop), str(blank)]) == 2
    assert "if it is an aligned face, add --aligned" in capsys.readouterr().err
    assert main(["compare", model, str(crop), str(blank), "--aligned"]) == 0
    capsys.readouterr()
    out = str(tmp_path / "o.safetensors")
    assert main(["embed", model, str(blank), "-o", out]) == 2
    assert "if it is an aligned face, add --aligned" in capsys.readouterr().err


def test_without_mediapipe_the_line_says_what_to_do(
    model: str, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "mediapipe", None)  # as where it is not installed
    assert main(["compare", model, *[str(photos / "one.jpg")] * 2]) == 2
    line = capsys.readouterr().err
    assert "make setup-faces" in line
    assert "--aligned" in line
    assert line.count("\n") == 1


def test_a_video_gives_a_face_for_each_person_and_shows_the_weights(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [scene([(1, 80 + 5 * n, 100, 120)], 260, 200) for n in range(4)]
    film = write_video(tmp_path / "film.avi", frames)
    out, weights = tmp_path / "o.safetensors", tmp_path / "w.csv"
    command = ["embed", model, "--video", str(film), "--fps", "10", "-o", str(out)]
    assert main([*command, "--weights", str(weights)]) == 0
    captured = capsys.readouterr()
    assert load_keys(out) == [f"{film}#1"]
    assert f"{film}#1: 4 frames, 0.0 to 0.3 s; weights" in captured.out
    rows = list(csv.DictReader(weights.read_text().splitlines()))
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(1)
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3"]
    assert main([*command, "--weights", "w.txt"]) == 2
    assert "written as .csv or .parquet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "paths"),
        (["x.jpg", "--video", "v.mp4"], "give PATHS or --video"),
        (["x.jpg", "--weights", "w.csv"], "--weights is of the frames of a --video"),
        (["--video", "v.mp4"], "v.mp4: cannot be read (No such file"),
        (["x.jpg", "--part-size", "4"], "add --aligned"),
        (["x.jpg", "--detector", "no.onnx"], "no.onnx: no such file"),
        (["x.jpg", "--jobs", "0"], "--jobs must be at least 1"),
        (["x.jpg", "--faces", "some"], "faces: expected one of largest, all"),
    ],
)
def test_a_mistake_is_one_line(
    model: str, tmp_path: Path, options: list[str], message: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.jpg").write_bytes(encode_jpeg(np.zeros((9, 9, 3), np.uint8)))
    assert main(["embed", model, *options, "-o", "o.safetensors"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("urface: error: ")
    assert message in error
