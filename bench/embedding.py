"""Embedding faces on a CPU: ours against ONNX Runtime in float32, the same iresnet50 and batch, in turns.

    python bench/embedding.py [--backbone iresnet50] [--batches 16 1]

Ours is ``Embedder`` at its own choice of precision (bfloat16 where the processor has it), with normalisation
and all heads; ONNX Runtime runs backbone and embedding alone, in a process of its own (its threads and
torch's get into each other's way in one), each while the other waits. Prints how many times as many faces a
second ours does, and how long torch would take without folded BatchNorms.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from figure import Figure, tell

TURNS = 5
TARGETS = {16: 2.0, 1: 1.0}


def in_onnx(model: Any, path: Path) -> None:
    """Backbone and embedding of a URFace as an ONNX file: its own nodes, one for each layer."""
    import onnx
    from torch import nn

    from urface.models.iresnet import Block

    nodes: list[Any] = []
    weights: list[Any] = []

    def constant(value: Any) -> str:
        name = f"w{len(weights)}"
        weights.append(onnx.numpy_helper.from_array(value.detach().contiguous().numpy(), name))
        return name

    def node(kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"x{len(nodes)}"
        nodes.append(onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def layer(m: Any, x: str) -> str:
        if isinstance(m, nn.Conv2d):
            pads = [m.padding[0], m.padding[1]] * 2  # type: ignore[list-item]
            return node("Conv", x, constant(m.weight), strides=list(m.stride), pads=pads)
        if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm1d)):
            values = (m.weight, m.bias, m.running_mean, m.running_var)
            return node("BatchNormalization", x, *map(constant, values), epsilon=m.eps)
        if isinstance(m, nn.PReLU):
            return node("PRelu", x, constant(m.weight[:, None, None]))
        if isinstance(m, nn.Linear):
            return node("Gemm", x, constant(m.weight), constant(m.bias), transB=1)
        if isinstance(m, Block):
            short = x if m.downsample is None else layer(m.downsample, x)
            for part in (m.bn1, m.conv1, m.bn2, m.prelu, m.conv2, m.bn3):
                x = layer(part, x)
            return node("Add", x, short)
        assert isinstance(m, nn.Sequential)
        for part in m:
            x = layer(part, x)
        return x

    net, x = model.backbone, "faces"
    for part in (net.conv1, net.bn1, net.prelu, net.layer1, net.layer2, net.layer3, net.layer4):
        x = layer(part, x)
    x = node("Flatten", layer(net.bn2, x), axis=1)
    x = layer(model.embedding_head.features, layer(model.embedding_head.fc, x))
    size, floats = net.input_size, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "embedding",
        [onnx.helper.make_tensor_value_info("faces", floats, ["batch", 3, size, size])],
        [onnx.helper.make_tensor_value_info(x, floats, ["batch", None])],
        weights,
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))


def serve(path: str, threads: int) -> None:
    """The other process: a line with a batch comes in, seconds of one run and a checksum go out."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # ours runs meanwhile
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    for line in sys.stdin:
        pixels = pictures(int(line)).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1.0
        start = time.perf_counter()
        (found,) = session.run(None, {"faces": np.ascontiguousarray(pixels)})
        print(time.perf_counter() - start, float(np.abs(found).mean()), flush=True)


def pictures(count: int, size: int = 112) -> np.ndarray:
    """[count, size, size, 3] uint8."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def measure(backbone: str = "iresnet50", batches: tuple[int, ...] = (16, 1)) -> Iterator[Figure]:
    """All figures, as they come."""
    import torch

    from urface.config import ModelSettings, ObjectiveSettings
    from urface.embedder import Embedder
    from urface.memory import keep_freed_memory
    from urface.models.urface import build_urface

    keep_freed_memory(large_too=True)  # as `urface embed` does
    settings = ModelSettings(backbone, 112, 112, sub_embeddings=16)  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = build_urface(settings, ObjectiveSettings("confidence", 2.0))
    with torch.no_grad():  # statistics of a batch, so that features keep to a scale
        model.train()(torch.from_numpy(pictures(8)))
    embedder = Embedder(model, settings, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        in_onnx(embedder.model, path)
        command = [sys.executable, __file__, "--serve", str(path)]
        command += ["--threads", str(torch.get_num_threads())]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            for batch in batches:
                yield from _compared(embedder, other, backbone, batch)
            assert other.stdin is not None
            other.stdin.close()


def _compared(embedder: Any, other: Any, backbone: str, batch: int) -> Iterator[Figure]:
    import torch

    faces = pictures(batch)
    images = torch.from_numpy(faces)

    def ours() -> float:
        start = time.perf_counter()
        embedder.embed(faces, batch_size=batch)
        return time.perf_counter() - start

    def theirs() -> float:
        other.stdin.write(f"{batch}\n")
        other.stdin.flush()
        seconds, size = map(float, other.stdout.readline().split())
        assert abs(size / expected - 1) < 1e-3, "the two networks differ"
        return seconds

    @torch.inference_mode()
    def plain() -> float:
        start = time.perf_counter()
        embedder.model(images)
        return time.perf_counter() - start

    with torch.inference_mode():
        expected = float(embedder.model.embedding(embedder.model.trunk(images)).abs().mean())
    repeats = max(1, 8 // batch)
    for work in (ours, theirs, plain):
        work()
    turns = [
        [median(work() for _ in range(repeats)) for work in (ours, theirs, plain)]
        for _ in range(TURNS)
    ]
    mine, onnx, unfolded = (median(column) for column in zip(*turns, strict=True))
    kind = "bf16" if embedder._environment.dtype is torch.bfloat16 else "fp32"
    print(
        f"batch {batch}: ours ({kind}) {1e3 * mine / batch:.1f} ms a face, "
        f"ONNX Runtime {1e3 * onnx / batch:.1f}, eager fp32 {1e3 * unfolded / batch:.1f}"
    )
    ratio = median(turn[1] / turn[0] for turn in turns)
    yield Figure(
        f"{backbone}, batch {batch}: faces/s of ours / of ONNX Runtime fp32",
        ratio,
        "x",
        TARGETS.get(batch),
        "least",
    )
    yield Figure(
        f"{backbone}, batch {batch}: faces/s of ours / of the model in eager fp32",
        median(turn[2] / turn[0] for turn in turns),
        "x",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="iresnet50")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 1])
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.threads)
    else:
        for figure in measure(given.backbone, tuple(given.batches)):
            tell(figure)
