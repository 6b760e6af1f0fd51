"""ONNX detectors: outputs that are known, files that are none, and the process they run in."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from photos.made_detectors import BOX, POINTS, SIDE, scrfd, yunet
from recognisers.onnx_models import model, write
from urface.photos import open_detector
from urface.photos.detector_layouts import decode_scrfd, decode_yunet, grid, layout_of
from urface.recognisers.onnx_process import ProcessEnded
from urface.types import UserError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("detectors")
    return {"yunet": yunet(folder / "y.onnx"), "scrfd": scrfd(folder / "s.onnx")}


@pytest.mark.parametrize(("kind", "channel"), [("yunet", 2), ("scrfd", 0)])
def test_a_face_is_where_the_outputs_say_and_channels_are_as_the_family_wants(
    files: dict[str, Path], kind: str, channel: int
) -> None:
    detector = open_detector(files[kind])
    for height, width in ((SIDE, SIDE), (3 * SIDE, 3 * SIDE), (2 * SIDE, SIDE), (SIDE, 2 * SIDE)):
        photo = np.zeros((height, width, 3), np.uint8)
        assert detector.detect(photo) == []
        photo[..., channel] = 255  # blue comes first in YuNet, red in SCRFD
        (face,) = detector.detect(photo)
        scale = max(height, width) / SIDE
        wanted = np.clip(BOX * scale, 0, [width, height, width, height])
        np.testing.assert_allclose(face.box, wanted, atol=1e-3)
        np.testing.assert_allclose(face.points, POINTS * scale, atol=1e-3)
        assert face.score == pytest.approx(1 if kind == "yunet" else 0.9 * 127.5 / 128, abs=1e-4)
        other = np.zeros_like(photo)
        other[..., 2 - channel] = 255
        assert detector.detect(other) == []


def test_it_runs_in_a_process_of_its_own_that_ends_with_it(files: dict[str, Path]) -> None:
    from urface.photos.onnx_detector import OnnxDetector

    detector = OnnxDetector(files["yunet"])
    number = detector._process.pid
    assert number != os.getpid()
    maps = Path(f"/proc/{number}/maps")
    if maps.exists():
        assert "libtorch" not in maps.read_text()
    detector.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


@pytest.mark.parametrize("kind", ["damaged", "another", "missing"])
def test_a_file_that_is_no_detector_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "d.onnx"
    if kind == "damaged":
        path.write_bytes(b"\x08\x08no model")
    elif kind == "another":
        write(path, model())  # of 16 x 16: an embedding
    with pytest.raises(UserError) as error:
        open_detector(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_outputs_of_neither_family_are_told_with_their_shapes() -> None:
    with pytest.raises(UserError, match=r"neither YuNet .* 2 outputs, a \[1, 5\], b \[3\]"):
        layout_of({"a": np.zeros((1, 5)), "b": np.zeros(3)})


def test_layouts_say_what_a_slow_loop_over_the_grid_says() -> None:
    random = np.random.default_rng(1)
    height, width = 64, 96
    outputs: dict[str, np.ndarray] = {}
    for stride in (8, 16, 32):
        corners = (height // stride) * (width // stride)
        for kind, count in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{kind}_{stride}"] = random.normal(0, 0.5, (1, corners, count))
    found = decode_yunet(outputs, height, width)
    n = 0
    for stride in (8, 16, 32):
        i = 0
        for row in range(height // stride):
            for column in range(width // stride):
                x, y, w, h = outputs[f"bbox_{stride}"][0, i]
                middle = np.array([(column + x) * stride, (row + y) * stride])
                half = np.exp([w, h]) * stride / 2
                np.testing.assert_allclose(found.boxes[n], [*(middle - half), *(middle + half)])
                kps = outputs[f"kps_{stride}"][0, i].reshape(5, 2)
                np.testing.assert_allclose(
                    found.points[n], (kps + np.array([column, row])) * stride
                )
                cls, obj = (
                    np.clip(outputs[f"{k}_{stride}"][0, i, 0], 0, 1) for k in ("cls", "obj")
                )
                assert found.scores[n] == pytest.approx(np.sqrt(cls * obj))
                i, n = i + 1, n + 1
    assert n == len(found.boxes)
    way = {}
    for stride in (32, 8, 16):  # in any order
        count = 2 * (height // stride) * (width // stride)
        for name, size in (("p", 10), ("s", 1), ("b", 4)):
            way[f"{name}{stride}"] = random.uniform(0, 1, (count, size))
    got = decode_scrfd(way, height, width)
    corner = grid(height, width, 16)[7]
    place = 2 * len(grid(height, width, 8)) + 2 * 7 + 1  # the second anchor of that corner
    l, t, r, b = way["b16"][15] * 16  # noqa: E741
    x, y = corner
    np.testing.assert_allclose(got.boxes[place], [x - l, y - t, x + r, y + b])
    np.testing.assert_allclose(got.points[place], corner + way["p16"][15].reshape(5, 2) * 16)


def test_what_is_not_finite_is_no_face() -> None:
    outputs = {
        f"{kind}_{stride}": np.full((1, (64 // stride) ** 2, count), 1e9 if kind == "bbox" else 1.0)
        for stride in (8, 16, 32)
        for kind, count in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    }
    assert len(decode_yunet(outputs, 64, 64).boxes) == 0


def test_a_detector_whose_process_was_killed_is_opened_again_once(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from urface.photos.onnx_detector import OnnxDetector

    detector = OnnxDetector(files["yunet"])
    photo = np.full((SIDE, SIDE, 3), 255, np.uint8)
    (face,) = detector.detect(photo)
    first = detector._process
    os.kill(first.pid, signal.SIGKILL)
    (again,) = detector.detect(photo)
    np.testing.assert_array_equal(again.points, face.points)
    assert detector._process is not first
    opened = detector._open()
    opened.close()
    monkeypatch.setattr(detector, "_open", lambda: opened)  # which has ended too
    os.kill(detector._process.pid, signal.SIGKILL)
    with pytest.raises(ProcessEnded):
        detector.detect(photo)


@pytest.mark.parametrize("points", [np.full((5, 2), 30.0), POINTS * 40])
def test_points_that_coincide_or_lie_far_away_are_no_face(
    tmp_path: Path, points: np.ndarray
) -> None:
    detector = open_detector(yunet(tmp_path / "y.onnx", points=points))
    assert detector.detect(np.full((SIDE, SIDE, 3), 255, np.uint8)) == []
