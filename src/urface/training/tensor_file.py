"""Tensors to a safetensors file one at a time, hashed on their way; the library's own reader reads it.

The library's writer copies all tensors at once, and what the disk says of a write is lost in its text.
Format: 8 bytes little-endian length, that much JSON, the bytes of the tensors one after another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from urface.atomic import write_chunks

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> dict[str, int | str]:
    """Write and sync ``tensors``; the size and the SHA-256 of what was meant to be written.

    An OSError names the file.
    """
    header: dict[str, object] = {}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the reader wants the first tensor at a multiple of 8
    digest, size = hashlib.sha256(), 0

    def chunks() -> Iterator[bytes | memoryview]:
        yield len(text).to_bytes(8, "little") + text
        for tensor in tensors.values():
            # The format has no strides: a channels_last weight is written in the ordinary order.
            plain = tensor.detach().cpu().contiguous().reshape(-1)
            yield plain.view(torch.uint8).numpy().data

    def hashed() -> Iterator[bytes | memoryview]:
        nonlocal size
        for chunk in chunks():
            digest.update(chunk)
            size += len(chunk)
            yield chunk

    write_chunks(path, hashed())
    return {"bytes": size, "sha256": digest.hexdigest()}


def tensors_digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names and bytes, to tell whether two sets of tensors are the same."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        plain = tensors[name].detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()
