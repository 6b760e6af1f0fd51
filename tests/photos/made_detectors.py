"""ONNX detectors of a few nodes whose outputs are known: one face, where the corner of the photo is bright.

Their input is 64 x 64. YuNet's sees the first channel of the first pixel as it is, SCRFD's normalised; a
photo whose corner has nothing in that channel has no face.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from urface.template import TEMPLATE

onnx: Any = pytest.importorskip("onnx", reason="makes ONNX models: pip install onnx")
pytest.importorskip("onnxruntime", reason="runs ONNX models: pip install onnxruntime")

SIDE = 64
BOX = np.array([12.0, 10.0, 52.0, 58.0])
POINTS = TEMPLATE / 112 * 48 + [8, 8]


def yunet(path: Path, box: np.ndarray = BOX, points: np.ndarray = POINTS) -> Path:
    """YuNet's outputs: the face at the corner of the grid of stride 8 that lies in the middle of the box."""
    arrays: dict[str, np.ndarray] = {}
    for stride in (8, 16, 32):
        corners = (SIDE // stride) ** 2
        for kind, count in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            arrays[f"{kind}_{stride}"] = np.zeros((1, corners, count), np.float32)
    column, row = (int(side) for side in (box[:2] + box[2:]) / 2 // 8)
    place = row * (SIDE // 8) + column
    corner = np.array([column, row])
    arrays["cls_8"][0, place] = 1
    arrays["obj_8"][0, place] = 1 / 255  # times the pixel
    arrays["bbox_8"][0, place, :2] = (box[:2] + box[2:]) / 2 / 8 - corner
    arrays["bbox_8"][0, place, 2:] = np.log((box[2:] - box[:2]) / 8)
    arrays["kps_8"][0, place] = (points / 8 - corner).ravel()
    return _write(path, arrays, times="obj_8")


def scrfd(path: Path, box: np.ndarray = BOX, points: np.ndarray = POINTS) -> Path:
    """SCRFD's outputs: the face at the second anchor of the corner (32, 32) of stride 16."""
    arrays: dict[str, np.ndarray] = {}
    for name, count in (("score", 1), ("box", 4), ("way", 10)):
        for stride in (8, 16, 32):
            arrays[f"{name}{stride}"] = np.zeros((2 * (SIDE // stride) ** 2, count), np.float32)
    place = 2 * (2 * 4 + 2) + 1
    arrays["score16"][place] = 0.9  # times the pixel, at most 1
    arrays["box16"][place] = np.concatenate([32 - box[:2], box[2:] - 32]) / 16
    arrays["way16"][place] = ((points - 32) / 16).ravel()
    return _write(path, arrays, times="score16")


def _write(path: Path, arrays: dict[str, np.ndarray], times: str) -> Path:
    helper, numbers = onnx.helper, onnx.numpy_helper
    constants = {name + "_told": array for name, array in arrays.items()}
    constants |= {
        "zero": np.zeros(1, np.float32),
        "start": np.zeros(4, np.int64),
        "end": np.ones(4, np.int64),
        "one": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Slice", ["photo", "start", "end"], ["corner"]),
        helper.make_node("Reshape", ["corner", "one"], ["pixel"]),
        helper.make_node("Mul", ["pixel", "zero"], ["nothing"]),
    ]
    for name in arrays:
        what = ["Mul", "pixel"] if name == times else ["Add", "nothing"]
        nodes.append(helper.make_node(what[0], [f"{name}_told", what[1]], [name]))
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("photo", onnx.TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(array.shape))
            for name, array in arrays.items()
        ],
        [numbers.from_array(array, name) for name, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    made.ir_version = 8
    path.write_bytes(made.SerializeToString())
    return path
