"""Small ONNX models to test with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx: Any = pytest.importorskip("onnx", reason="makes ONNX models: pip install onnx")
pytest.importorskip("onnxruntime", reason="runs ONNX models: pip install onnxruntime")

SIZE, DIM = 16, 6
WEIGHT = np.random.default_rng(3).normal(size=(3 * SIZE * SIZE, DIM)).astype(np.float32) / 20
BIAS = np.random.default_rng(4).normal(size=DIM).astype(np.float32)


def model(batch: int | str = "N", channels_last: bool = False, dim: int = DIM) -> Any:
    """Pixels, flattened channels first, times WEIGHT plus BIAS."""
    helper, numbers = onnx.helper, onnx.numpy_helper
    side = [SIZE, SIZE, 3] if channels_last else [3, SIZE, SIZE]
    nodes, name = [], "faces"
    if channels_last:
        nodes.append(helper.make_node("Transpose", ["faces"], ["first"], perm=[0, 3, 1, 2]))
        name = "first"
    nodes += [
        helper.make_node("Flatten", [name], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["feature"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("faces", onnx.TensorProto.FLOAT, [batch, *side])],
        [helper.make_tensor_value_info("feature", onnx.TensorProto.FLOAT, [batch, dim])],
        [numbers.from_array(WEIGHT, "weight"), numbers.from_array(BIAS, "bias")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    made.ir_version = 8
    return made


def write(path: Path, made: Any) -> Path:
    path.write_bytes(made.SerializeToString())
    return path
