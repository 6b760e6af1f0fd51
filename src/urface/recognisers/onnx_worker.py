"""The process that runs an ONNX model: a model and batches come in over a pipe, features go out.

    python -m urface.recognisers.onnx_worker PARENT THREADS

Messages both ways are a kind (one byte), a length (eight bytes, little endian) and so many bytes: M a
model, B a batch (its number of dimensions, each dimension as int64, then float32), J JSON, F features as
a batch is written, A a batch of which all outputs are wanted, and these, each behind its length (eight
bytes), E a line on what went wrong. The process ends with its input, and imports no torch.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from urface.recognisers import sandbox

MEMORY = 8 << 30  # bytes beyond what it has when the model comes
LONGEST = 4 << 30  # bytes of a message
MODEL, FACES, JSON, FEATURES, ALL, ERROR = b"M", b"B", b"J", b"F", b"A", b"E"


def send(pipe: BinaryIO, kind: bytes, *parts: bytes | memoryview) -> None:
    """One message."""
    pipe.write(kind + sum(len(part) for part in parts).to_bytes(8, "little"))
    for part in parts:
        pipe.write(part)
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[bytes, bytes]:
    """Kind and content of the next message. Raises EOFError where the other side has ended."""
    head = pipe.read(9)
    if len(head) < 9:
        raise EOFError
    length = int.from_bytes(head[1:], "little")
    if length > LONGEST:
        raise EOFError
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    return head[:1], content


def packed(array: np.ndarray) -> tuple[bytes, memoryview]:
    """An array as a message holds it: its shape, then float32."""
    whole = np.ascontiguousarray(array, np.float32)
    shape = np.array([whole.ndim, *whole.shape], "<i8")
    return shape.tobytes(), whole.reshape(-1).view(np.uint8).data


def unpacked(content: bytes) -> np.ndarray:
    """What ``packed`` made. Raises ValueError for anything else."""
    sides = int(np.frombuffer(content, "<i8", 1)[0])
    if not 0 <= sides <= 8:
        raise ValueError(f"{sides} dimensions")
    shape = np.frombuffer(content, "<i8", sides, 8).tolist()
    return np.frombuffer(content, "<f4", offset=8 * (1 + sides)).reshape(shape)


def joined(arrays: Sequence[np.ndarray]) -> list[bytes | memoryview]:
    """Several arrays as one message holds them, the parts of its content."""
    parts: list[bytes | memoryview] = []
    for array in arrays:
        shape, values = packed(array)
        parts += [(len(shape) + len(values)).to_bytes(8, "little"), shape, values]
    return parts


def split(content: bytes) -> Iterator[bytes]:
    """Each array of what ``joined`` made, as ``packed`` made it."""
    place = 0
    while place < len(content):
        end = place + 8 + int.from_bytes(content[place : place + 8], "little")
        yield content[place + 8 : end]
        place = end


def main(arguments: list[str]) -> int:
    """The process."""
    parent, threads = int(arguments[0]), int(arguments[1])
    sandbox.die_with_parent(parent)
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no message
    try:
        import onnxruntime
    except ImportError:
        send(answers, ERROR, b"onnxruntime is not installed")
        return 1
    sandbox.limit(MEMORY, written=0)
    sandbox.forbid()
    session: Any = None
    while True:
        try:
            kind, content = receive(source)
        except EOFError:
            return 0
        # Any exception at all: the model chooses what goes wrong.
        try:
            if kind == MODEL:
                session = _session(onnxruntime, content, threads)
                send(answers, JSON, json.dumps(_described(session)).encode())
            elif kind == ALL:
                outputs = session.run(None, {session.get_inputs()[0].name: unpacked(content)})
                send(answers, ALL, *joined(outputs))
            else:
                name, wanted = session.get_inputs()[0].name, _output(session)
                out = session.run([wanted], {name: unpacked(content)})[0]
                send(answers, FEATURES, *packed(np.asarray(out)))
        except Exception as error:
            send(answers, ERROR, sandbox.one_line(error).encode())


def _session(onnxruntime: Any, model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Not its own format as well, which the walk over the bytes knows nothing of.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _described(session: Any) -> dict[str, Any]:
    """Input and outputs: name, type, and shape with None where it is free; the file's own metadata."""
    sides = {
        side: [
            {
                "name": v.name,
                "type": v.type,
                "shape": [s if isinstance(s, int) else None for s in v.shape],
            }
            for v in values
        ]
        for side, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs()))
    }
    return sides | {"metadata": dict(session.get_modelmeta().custom_metadata_map)}


def _output(session: Any) -> str:
    """The name of the embedding: the first output that has more than one value a face."""
    for value in session.get_outputs():
        if not (len(value.shape) == 2 and value.shape[1] == 1):
            return str(value.name)
    return str(session.get_outputs()[0].name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
