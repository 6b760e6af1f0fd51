"""An ONNX detector by its file: it runs in a process of its own, never in torch's."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from urface.photos.detector_layouts import Findings, layout_of
from urface.photos.found import FoundFace, each_once, inside
from urface.recognisers.onnx_file import LARGEST
from urface.recognisers.onnx_process import OnnxProcess, ProcessEnded
from urface.recognisers.sandbox import one_line
from urface.types import UserError

SIDE = 640  # pixels of the input where the file leaves it free
GRAIN, MOST = 32, 4096  # the input's sides are multiples of the one and at most the other
SURE = 0.5
SAME = 0.4


class OnnxDetector:
    """The detector in the file ``path``, with YuNet's or SCRFD's outputs; told apart by these.

    A photo is brought to the network's input without changing its proportions, black beside it.

    Raises UserError where the file is damaged, its input is not one of floats [1, 3, H, W], or its outputs
    are of neither family, and where onnxruntime is missing.
    """

    def __init__(self, path: str | Path, sure: float = SURE) -> None:
        path = Path(path)
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: more than {LARGEST >> 30} GiB, which no ONNX model has")
        data = path.read_bytes()
        self.name = f"{path.stem}-{hashlib.sha256(data).hexdigest()[:12]}"
        self._sure = sure
        self._open = partial(OnnxProcess, data, str(path))
        self._process = self._open()
        try:
            self._height, self._width = _input(self._process.described["inputs"])
            blank = np.zeros((1, 3, self._height, self._width), np.float32)
            outputs = self._process.run_all(blank)
            self._layout = layout_of(outputs)
            self._layout.decode(outputs, self._height, self._width)
        except UserError as error:
            self.close()
            raise UserError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None

    def detect(self, photo: np.ndarray) -> list[FoundFace]:
        """See Detector. A process that has ended is started again, once; raises ProcessEnded after that."""
        picture, scale = letterboxed(photo, self._height, self._width)
        if self._layout.bgr:
            picture = picture[:, :, ::-1]
        pixels = (picture.astype(np.float32) - self._layout.mean) * self._layout.scale
        pixels = pixels.transpose(2, 0, 1)[None]
        try:
            outputs = self._process.run_all(pixels)
        except ProcessEnded:  # killed for want of memory, perhaps with a photo long gone
            self._process = self._open()
            outputs = self._process.run_all(pixels)
        found = self._layout.decode(outputs, self._height, self._width)
        return faces_of(found, self._sure, scale, photo)

    def close(self) -> None:
        """End the process."""
        self._process.close()


def letterboxed(photo: np.ndarray, height: int, width: int) -> tuple[np.ndarray, float]:
    """``photo`` in the upper left of a picture of that size, black beside it, and the scale it was given."""
    scale = min(height / photo.shape[0], width / photo.shape[1])
    size = [max(1, round(side * scale)) for side in (photo.shape[1], photo.shape[0])]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: size[1], : size[0]] = cv2.resize(photo, size, interpolation=method)
    return picture, scale


def faces_of(found: Findings, sure: float, scale: float, photo: np.ndarray) -> list[FoundFace]:
    """The faces of at least the score ``sure``, each once, in pixels of the photo that ``scale`` made."""
    enough = found.scores >= sure
    boxes, points, scores = (part[enough] for part in found)
    faces = []
    for place in each_once(boxes, scores, SAME):
        box = inside(boxes[place] / scale, photo)
        face_points = (points[place] / scale).astype(np.float32)
        # Points that coincide, or lie far outside their box, align nothing.
        spread = float(np.ptp(face_points, axis=0).max())
        if box is not None and 1 <= spread <= 4 * float(max(box[2:] - box[:2])):
            faces.append(FoundFace(box, face_points, float(scores[place])))
    return faces


def _input(inputs: list[dict[str, Any]]) -> tuple[int, int]:
    """Height and width of the one input, SIDE where they are free."""
    got = ", ".join(f"{value['type']} {value['shape']}" for value in inputs)
    shape = inputs[0]["shape"]
    if len(inputs) != 1 or inputs[0]["type"] != "tensor(float)" or len(shape) != 4:
        raise UserError(f"takes {one_line(got)}, not one input of floats [1, 3, H, W]")
    height, width = (SIDE if side is None else side for side in shape[2:])
    fits = all(side % GRAIN == 0 and 0 < side <= MOST for side in (height, width))
    if shape[0] not in (1, None) or shape[1] not in (3, None) or not fits:
        raise UserError(
            f"takes {one_line(got)}: needed is [1, 3, H, W], H and W free or multiples of {GRAIN}"
        )
    return height, width
