"""What the outputs of two families of detectors say: arrays of a network to boxes, points and scores.

Both look at the corners of a grid every 8, 16 and 32 pixels. YuNet (Wu et al., 2023; the model of OpenCV's
FaceDetectorYN) has for each stride the outputs cls, obj, bbox and kps; SCRFD (Guo et al., ICLR 2022;
InsightFace) has scores, boxes and points for one or two anchors at each corner. The order of the five
points is that of the template in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from urface.types import UserError

YUNET_STRIDES = (8, 16, 32)
YUNET = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # values at a corner
SCRFD = (1, 4, 10)  # values of an anchor: score, box, points
FIRST_STRIDE = 8


class Findings(NamedTuple):
    """N faces in pixels of the network's input: boxes [N, 4], points [N, 5, 2], scores [N] in 0..1."""

    boxes: np.ndarray
    points: np.ndarray
    scores: np.ndarray


Outputs = Mapping[str, np.ndarray]
Decode = Callable[[Outputs, int, int], Findings]


class Layout(NamedTuple):
    """How a family reads pixels (channel order, input = (pixel - mean) * scale), and its outputs."""

    name: str
    bgr: bool
    mean: float
    scale: float
    decode: Decode


def decode_yunet(outputs: Outputs, height: int, width: int) -> Findings:
    """YuNet's outputs for an input of ``height`` x ``width``: the score is the root of cls times obj."""
    found = []
    for stride in YUNET_STRIDES:
        corners = grid(height, width, stride)
        values = {}
        for kind, count in YUNET.items():
            values[kind] = outputs[f"{kind}_{stride}"].reshape(-1, count)
            if len(values[kind]) != len(corners):
                raise UserError(f"output {kind}_{stride} is not for an input of {width} x {height}")
        sure = np.clip(values["cls"], 0, 1) * np.clip(values["obj"], 0, 1)
        middle = values["bbox"][:, :2] * stride + corners
        with np.errstate(over="ignore"):
            half = np.exp(values["bbox"][:, 2:]) * stride / 2
        points = values["kps"].reshape(-1, 5, 2) * stride + corners[:, None]
        boxes = np.concatenate([middle - half, middle + half], 1)
        found.append((boxes, points, np.sqrt(sure[:, 0])))
    return _joined(found)


def decode_scrfd(outputs: Outputs, height: int, width: int) -> Findings:
    """SCRFD's outputs: a box by its distances from the corner in strides, points by their way from it."""
    groups = []
    for count in SCRFD:
        arrays = [a.reshape(-1, count) for a in outputs.values() if a.shape[-1] == count]
        groups.append(sorted(arrays, key=len, reverse=True))
    found = []
    for place, (score, box, way) in enumerate(zip(*groups, strict=True)):
        stride = FIRST_STRIDE << place
        corners = grid(height, width, stride)
        anchors = len(score) // len(corners)
        if not anchors or not len(score) == len(box) == len(way) == anchors * len(corners):
            raise UserError(f"{len(score)} anchors do not fit an input of {width} x {height}")
        corners = np.repeat(corners, anchors, 0)
        boxes = np.concatenate([corners - box[:, :2] * stride, corners + box[:, 2:] * stride], 1)
        points = way.reshape(-1, 5, 2) * stride + corners[:, None]
        found.append((boxes, points, score[:, 0]))
    return _joined(found)


LAYOUTS = {
    "yunet": Layout("YuNet", True, 0.0, 1.0, decode_yunet),
    "scrfd": Layout("SCRFD", False, 127.5, 1 / 128, decode_scrfd),
}


def layout_of(outputs: Outputs) -> Layout:
    """The family of a detector by its ``outputs``. Raises UserError for another, with what it has."""
    if {f"{kind}_{stride}" for kind in YUNET for stride in YUNET_STRIDES} <= outputs.keys():
        return LAYOUTS["yunet"]
    last = [array.shape[-1] if array.ndim else 0 for array in outputs.values()]
    if len(last) in (9, 15) and all(last.count(count) == len(last) // 3 for count in SCRFD):
        return LAYOUTS["scrfd"]
    listed = ", ".join(f"{name} {list(array.shape)}" for name, array in list(outputs.items())[:6])
    raise UserError(
        "outputs of neither YuNet (cls_8 ... kps_32) nor SCRFD (scores, boxes and five points of 3 or "
        f"5 strides): {len(outputs)} outputs, {listed}"
    )


def grid(height: int, width: int, stride: int) -> np.ndarray:
    """[N, 2] float64: the corners x, y every ``stride`` pixels, row by row."""
    rows, columns = -(-height // stride), -(-width // stride)
    y, x = np.mgrid[:rows, :columns] * float(stride)
    return np.stack([x.ravel(), y.ravel()], 1)


def _joined(found: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Findings:
    """All strides together, without what is not finite."""
    boxes, points, scores = (np.concatenate(part) for part in zip(*found, strict=True))
    finite = np.isfinite(scores) & np.isfinite(boxes).all(1) & np.isfinite(points).all((1, 2))
    return Findings(boxes[finite], points[finite], np.clip(scores[finite], 0, 1))
