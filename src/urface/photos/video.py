"""Frames of a video file, sampled and within limits."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from urface.types import UserError

ASSUMED_RATE, HIGHEST_RATE = 25.0, 1000.0  # frames a second where the file says none, or nonsense
# ffmpeg opens what a playlist names, which may be any file or address: these begin like one.
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"v=0", b"[playlist]")
# Quiet; local files alone, and of those nothing that names other files.
FFMPEG = {
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file",
}


ROUNDED = 6e-4  # seconds: containers tell times in milliseconds


@contextmanager
def _told_to_ffmpeg() -> Iterator[None]:
    """``FFMPEG`` in the environment while a file is opened, whatever stood there before, and stands after."""
    before = {name: os.environ.get(name) for name in FFMPEG}
    os.environ.update(FFMPEG)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class VideoLimits:
    """What a video may ask for.

    frames   that are looked at
    pixels   of a frame: 4096 x 2176
    seconds  of its length
    """

    frames: int = 20_000
    pixels: int = 4096 * 2176
    seconds: float = 4 * 3600.0


DEFAULT_LIMITS = VideoLimits()


class Frame(NamedTuple):
    """number  its place in the video, from 0; seconds  its time; image  RGB uint8 [H, W, 3]."""

    number: int
    seconds: float
    image: np.ndarray


class Video:
    """The frames of the video file ``path``, ``fps`` a second, or all where it has fewer.

    expected  how many frames the file says it has, 0 where it does not
    decoded   how many it had, once the frames are read

    Raises UserError, the path first, where it is no video that can be read, or over ``limits``, which
    are checked as far as the file tells before a frame is decoded, and again while they come.
    """

    def __init__(self, path: str | Path, fps: float, limits: VideoLimits = DEFAULT_LIMITS) -> None:
        if not (math.isfinite(fps) and fps > 0):
            raise UserError(f"--fps must be above 0, got {fps:g}")
        self.path = Path(path)
        self.decoded = 0
        self._period = 1 / fps
        self._limits = limits
        self._refuse_playlist()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        # The absolute path: a name with a colon would be read as an address.
        where = str(self.path.absolute())
        try:
            where.encode()
        except UnicodeEncodeError:  # which OpenCV does not survive
            raise UserError(f"{str(path)!a}: its name is not UTF-8: rename the file") from None
        with _told_to_ffmpeg():
            self._capture = cv2.VideoCapture(where, cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise UserError(f"{path}: not a video that can be read, or damaged")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and 0 < rate <= HIGHEST_RATE else ASSUMED_RATE
        self.step = max(self.rate / fps, 1.0)  # frames from one that is looked at to the next
        self.seconds = self.step / self.rate  # the same, where frames come at one rate
        self.expected = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._check_size(
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        self._check_length(self.expected)

    def __len__(self) -> int:
        """How many frames will be looked at, as far as the file tells."""
        return math.ceil(self.expected / self.step)

    def __iter__(self) -> Iterator[Frame]:
        """The frames, once."""
        wanted, now, looked = 0.0, 0.0, 0
        while self._capture.grab():
            number = self.decoded
            self.decoded += 1
            now = max(now, self._time(number))
            self._check_length(self.decoded, looked, now)
            if now + ROUNDED < wanted:
                continue
            wanted += self._period
            if wanted <= now:
                wanted = now + self._period
            done, image = self._capture.retrieve()
            if not done or image is None:
                continue
            self._check_size(image.shape[1], image.shape[0])
            looked += 1
            yield Frame(number, now, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        self._capture.release()
        if not self.decoded:
            raise UserError(f"{self.path}: no frame of it can be decoded: damaged")

    def _time(self, number: int) -> float:
        """Seconds of the frame that was grabbed last: phones and screens record at no constant rate."""
        told = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return told if math.isfinite(told) and (told > 0 or number == 0) else number / self.rate

    def _refuse_playlist(self) -> None:
        try:
            with open(self.path, "rb") as file:
                begin = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror})") from None
        if not begin or begin.startswith(PLAYLISTS):
            what = "empty" if not begin else "a list of other files"
            raise UserError(f"{self.path}: {what}, not a video")

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._limits.pixels:
            raise UserError(
                f"{self.path}: frames of {width} x {height}, at most {self._limits.pixels:,} pixels are "
                "read: make it smaller"
            )

    def _check_length(self, frames: int, looked: int = 0, seconds: float = 0.0) -> None:
        if max(frames / self.rate, seconds) > self._limits.seconds:
            raise UserError(
                f"{self.path}: longer than {self._limits.seconds / 3600:g} hours: cut it"
            )
        if max(frames / self.step, looked) > self._limits.frames + 1:
            raise UserError(
                f"{self.path}: more than {self._limits.frames:,} frames to look at: lower --fps, or cut it"
            )


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether two frames that follow each other show another scene: their outlines have little in common."""
    a, b = (_outline(image) for image in (before, after))
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return length > 0 and float((a * b).sum()) / length < 0.3


def _outline(image: np.ndarray) -> np.ndarray:
    small = cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA).mean(2)
    return small - small.mean()
