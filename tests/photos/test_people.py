"""Videos: blurred frames weigh less where the model says so, people are not mixed, files that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

import urface
from photos.scenes import face, scene, write_video
from urface.cli import main
from urface.photos import FoundFace, open_detector
from urface.photos.people import frame_weights, people_of, write_weights
from urface.photos.video import Video, VideoLimits, is_cut
from urface.types import FaceEmbedding, UserError

ONE, TWO = 1, 5
FRAMES, BLURRED = 12, (4, 5, 6)


class Sharpness:
    """A model of which we know what it thinks: a face is the one it looks like, its variance its blur."""

    def __init__(self, unsure: bool = True) -> None:
        self._known = [cv2.GaussianBlur(face(n, 112), (0, 0), 3).astype(float) for n in (ONE, TWO)]
        self._unsure = unsure

    def embed(self, images: Sequence[np.ndarray]) -> FaceEmbedding:
        means, variances = [], []
        for image in images:
            soft = cv2.GaussianBlur(image, (0, 0), 3).astype(float)
            away = [abs(soft - known)[20:92, 20:92].mean() for known in self._known]
            means.append(np.eye(4)[int(np.argmin(away))])
            sharp = cv2.Laplacian(image[20:92, 20:92], cv2.CV_64F).var()
            variances.append(1 / sharp if self._unsure else 0.01)
        mean = np.float32(means)[:, None].repeat(2, 1)
        variance = np.float32(variances)[:, None] * np.float32([1, 2])
        return FaceEmbedding(mean, 1 / variance, variance)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people who move; the picture of ONE is blurred for a while."""
    frames = []
    for number in range(FRAMES):
        x = 70 + 6 * number
        frame = scene([(ONE, x, 90, 110), (TWO, 330 - 5 * number, 110, 100)], 420, 220)
        if number in BLURRED:
            blurred = cv2.GaussianBlur(frame, (0, 0), 4)
            frame[:, : x + 60] = blurred[:, : x + 60]
        frames.append(frame)
    return write_video(tmp_path_factory.mktemp("film") / "film.avi", frames)


@pytest.fixture(scope="module")
def detector() -> object:
    pytest.importorskip("mediapipe", reason="finds faces: make setup-faces")
    return open_detector()


def test_blurred_frames_weigh_less_and_people_are_not_mixed(
    film: Path, detector: object, tmp_path: Path
) -> None:
    people = people_of(Video(film, 10), detector, Sharpness())  # type: ignore[arg-type]
    assert len(people.templates) == 2
    assert people.frames == FRAMES
    # Each template is one person whole: a mixed one would lie between the axes.
    assert np.sort(np.asarray(people.templates.mean)[:, 0, :2], 0).tolist() == [[0, 0], [1, 1]]
    table = people.weights
    person, frame, weight = (table[n].to_numpy() for n in ("person", "frame", "weight"))
    one = 1 + int(np.argmax(np.asarray(people.templates.mean)[:, 0, 0]))
    own = person == one
    assert own.sum() >= FRAMES - 1
    blurred = np.isin(frame, BLURRED)
    assert weight[own & blurred].max() < 0.5 * weight[own & ~blurred].min()
    for number in (1, 2):
        assert weight[person == number].sum() == pytest.approx(1)
    # The control: a model that is always alike sure gives every frame the same weight.
    blind = people_of(Video(film, 10), detector, Sharpness(unsure=False))  # type: ignore[arg-type]
    counts = np.bincount(blind.weights["person"].to_numpy())
    even = 1 / counts[blind.weights["person"].to_numpy()]
    np.testing.assert_allclose(blind.weights["weight"].to_numpy(), even, rtol=1e-5)
    for name in ("w.csv", "w.parquet"):
        write_weights(tmp_path / name, table)
    assert pq.read_table(tmp_path / "w.parquet").equals(table)
    lines = (tmp_path / "w.csv").read_text().splitlines()
    assert len(lines) == 1 + table.num_rows
    assert lines[0].startswith("person,frame,seconds,box_x0")


def test_weights_are_the_shares_of_a_slow_loop_over_inverse_variances() -> None:
    random = np.random.default_rng(0)
    variance = random.uniform(0.1, 3, (9, 4)).astype(np.float32)
    person = np.array([0, 1, 0, 0, 2, 1, 1, 0, 2])
    got = frame_weights(variance, person)
    for n in range(9):
        for k in range(4):
            total = sum(1 / float(variance[m, k]) for m in range(9) if person[m] == person[n])
            assert got[n, k] == pytest.approx(1 / float(variance[n, k]) / total)


class Passing:
    """A face in the third frame alone."""

    name = "passing"

    def __init__(self, times: range) -> None:
        self._times = times
        self._asked = -1

    def detect(self, photo: np.ndarray) -> list[FoundFace]:
        if photo.shape[0] > photo.shape[1]:
            return []  # turned
        self._asked += 1
        points = np.float32([[40, 40], [80, 40], [60, 60], [45, 80], [75, 80]])
        found = FoundFace(np.float32([20, 20, 100, 100]), points, 0.9)
        return [found] if self._asked in self._times else []


def test_what_is_seen_once_is_left_out_and_counted(film: Path) -> None:
    with pytest.raises(UserError, match="seen in 2 frames"):
        people_of(Video(film, 10), Passing(range(2, 3)), Sharpness())
    with pytest.raises(UserError, match=r"film\.avi: no face in any of the 6 frames"):
        people_of(Video(film, 5), Passing(range(0)), Sharpness())


@pytest.mark.parametrize(("fps", "wanted"), [(10, 12), (100, 12), (5, 6), (3, 4), (0.5, 1)])
def test_frames_are_sampled_at_their_times(film: Path, fps: float, wanted: int) -> None:
    video = Video(film, fps)
    frames = list(video)
    assert len(frames) == len(video) == wanted
    times = np.array([frame.seconds for frame in frames])
    step = max(1 / fps, 0.1)
    assert abs(times - np.arange(wanted) * step).max() <= 0.1 + 1e-9
    assert all(frame.image.shape == (220, 420, 3) for frame in frames)
    assert video.decoded == FRAMES


def test_a_frame_has_its_colours_in_order(tmp_path: Path) -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    (frame, *_) = Video(write_video(tmp_path / "red.avi", [red] * 3), 10)
    assert frame.image[..., 0].mean() > 150 > 50 > frame.image[..., 2].mean()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (VideoLimits(pixels=1000), "420 x 220, at most 1,000 pixels"),
        (VideoLimits(frames=3), "more than 3 frames to look at: lower --fps"),
        (VideoLimits(seconds=0.5), "longer than"),
    ],
)
def test_limits_are_held_before_a_frame_is_decoded(
    film: Path, limits: VideoLimits, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Video(film, 10, limits)


def test_a_length_that_the_file_hides_is_held_while_frames_come(film: Path) -> None:
    video = Video(film, 10)
    video._limits = VideoLimits(seconds=0.5)  # as if the file had claimed to be short
    with pytest.raises(UserError, match="longer than"):
        list(video)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no video at all",
        b"#EXTM3U\nsecret.mp4\n",
        b"\0" * 5000,
        b"RIFF\xff\xff\xff\xffAVI LIST",
    ],
)
def test_a_damaged_video_is_one_clear_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    with pytest.raises(UserError) as error:
        list(Video(path, 5))
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_the_decoder_of_videos_adds_no_lines_of_its_own(tmp_path: Path) -> None:
    """In a process of its own: it reads how loud it may be once."""
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no video at all")
    code = (
        f"import urface.cli; urface.cli.main(['embed', 'm', '-o', 'o', '--video', {str(path)!r}])"
    )
    surroundings = os.environ | {"PYTHONPATH": str(Path(urface.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=surroundings, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == ""
    assert done.stderr.startswith("urface: error: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_video_and_a_rate_of_nothing_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        Video(tmp_path / "film.mp4", 5)
    for fps in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="--fps must be above 0"):
            Video(tmp_path / "film.mp4", fps)


def test_a_video_that_is_cut_off_gives_what_it_has(film: Path, tmp_path: Path) -> None:
    data = film.read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: len(data) // 2])
    video = Video(cut, 10)
    assert 0 < len(list(video)) < FRAMES


def test_another_scene_is_a_cut_and_a_moving_face_is_none() -> None:
    before = scene([(ONE, 70, 90, 110)], 420, 220)
    assert not is_cut(before, scene([(ONE, 100, 95, 110)], 420, 220))
    assert not is_cut(before, before)
    assert is_cut(before, scene([(ONE, 70, 90, 110)], 420, 220, seed=5))


@pytest.mark.parametrize("fps", [1.0, 0.25])
def test_a_face_in_sight_in_each_frame_looked_at_is_one_person_however_far_these_lie_apart(
    tmp_path: Path, fps: float
) -> None:
    """One frame a second of 29.97 lie 1.001 seconds apart."""
    still = scene([(ONE, 70, 90, 110)], 240, 180)
    path = write_video(tmp_path / "film.avi", [still] * 130, 29.97)
    people = people_of(Video(path, fps), Passing(range(99)), Sharpness())
    assert len(people.templates) == 1
    assert people.frames == len(set(people.weights["frame"].to_pylist())) >= 2


def test_frames_without_a_constant_rate_have_the_files_times(film: Path) -> None:
    times = [0.0, 0.03, 0.07, 0.1, 0.13, 5.0, 5.02, 5.2, 5.21, 5.4, 5.41, 5.43]
    video = Video(film, 5)
    video._time = times.__getitem__  # type: ignore[method-assign, assignment]
    found = list(video)
    assert [frame.seconds for frame in found] == [0.0, 5.0, 5.2, 5.4]
    assert [frame.number for frame in found] == [0, 5, 7, 9]
    video = Video(film, 5)
    video._time = times.__getitem__  # type: ignore[method-assign, assignment]
    video._limits = VideoLimits(seconds=4)
    with pytest.raises(UserError, match="longer than"):
        list(video)


def test_frames_that_are_passed_over_count_against_the_length(film: Path) -> None:
    video = Video(film, 0.01)
    video._limits = VideoLimits(seconds=0.5)
    with pytest.raises(UserError, match="longer than"):
        list(video)
    assert video.decoded < FRAMES


def test_a_video_whose_name_is_not_utf8_is_one_line(film: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.avi"))
    path.write_bytes(film.read_bytes())
    with pytest.raises(UserError, match="not UTF-8"):
        Video(path, 5)


def test_what_ffmpeg_is_told_is_told_to_no_one_else(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;udp")
    monkeypatch.delenv("OPENCV_FFMPEG_LOGLEVEL", raising=False)
    Video(film, 5)
    assert os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] == "rtsp_transport;udp"
    assert "OPENCV_FFMPEG_LOGLEVEL" not in os.environ


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--aligned", "--part-size", "10"], "a video's people are one file"),
        (["--aligned"], "a video's people are one file"),
        (["--weights", "o.csv", "-o", "o.csv"], "name two files"),
        (["-o", "film.avi"], "the video itself"),
    ],
)
def test_options_that_a_video_has_no_use_for_are_one_line(
    film: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(film.parent)
    before = film.read_bytes()
    given = ["embed", "demonstration", "--video", "film.avi", "-o", "people.safetensors", *more]
    assert main(given) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert film.read_bytes() == before
