"""What an ONNX file asks for, read from its bytes before any runtime sees them: external data are refused.

An ONNX tensor may say that its numbers lie in another file, whose path the model chooses: any file that the
user can read. The messages that can hold tensors are walked by their numbers in onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from urface.types import UserError

LARGEST = 2 << 30  # bytes: what protobuf allows
DEEPEST = 50
# message -> field -> the message it holds
HOLDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of a tensor
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def refuse_external_data(data: bytes) -> None:
    """Raise UserError where ``data`` is no ONNX model, or a tensor of it lies in another file."""
    if len(data) > LARGEST:
        raise UserError(f"{len(data):,} bytes, more than an ONNX model can have")
    if data[4:8] == b"ORTM":
        raise UserError("a model in onnxruntime's own format; save it as ONNX")
    view = memoryview(data)
    if not any(field == 7 and kind == BYTES for field, kind, _ in _fields(view)):
        raise UserError("not an ONNX model: there is no graph in it")
    _walk(view, "model", 0)


def _walk(message: memoryview, name: str, depth: int) -> None:
    if depth > DEEPEST:
        raise UserError(f"an ONNX model with more than {DEEPEST} graphs within graphs")
    for field, kind, value in _fields(message):
        if name == "tensor":
            if field == EXTERNAL_DATA or (field == DATA_LOCATION and value != 0):
                raise UserError(
                    "some of its weights are in another file (external data); save the model as one file"
                )
            continue
        held = HOLDS.get(name, {}).get(field)
        if held is not None and kind == BYTES:
            assert isinstance(value, memoryview)
            _walk(value, held, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Number, wire type and value of each field of a protobuf message."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        field, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield field, kind, value
            continue
        if kind == BYTES:
            length, place = _varint(message, place)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise UserError(f"not an ONNX model: wire type {kind} at byte {place}")
        if place + length > len(message):
            raise UserError("not an ONNX model, or cut short")
        yield field, kind, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise UserError("not an ONNX model, or cut short")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise UserError("not an ONNX model: a number of more than ten bytes")
