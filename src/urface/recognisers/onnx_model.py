"""An ONNX model as a Recogniser: it runs in a process of its own (onnx_worker.py), never in ours."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from urface.embedder import check_images
from urface.recognisers import sandbox
from urface.recognisers.convert_weights import digest_of
from urface.recognisers.network import BATCH
from urface.recognisers.onnx_file import LARGEST, refuse_external_data
from urface.recognisers.onnx_worker import (
    ERROR,
    FACES,
    FEATURES,
    JSON,
    MODEL,
    packed,
    receive,
    send,
    unpacked,
)
from urface.recognisers.preprocessing import checked, network_input
from urface.recognisers.recogniser import Features, Preprocessing
from urface.types import UserError

PATIENCE = 600.0  # seconds for one answer


class OnnxModel:
    """A network in an ONNX file. Safe to use from several threads; ``close`` ends its process.

    data           the file's bytes
    preprocessing  what it wants; without one InsightFace's convention at the size that the file names
    parts          K, the sub-embeddings that its output is read as

    Raises UserError where the file is damaged, keeps weights in another file, takes anything but
    [N, 3, S, S] (or [N, S, S, 3]) or gives anything but [N, D], and where onnxruntime is missing.
    """

    needs_images = True
    has_variance = False
    architecture = "onnx"

    def __init__(
        self,
        data: bytes,
        name: str,
        digest: str,
        preprocessing: Preprocessing | None = None,
        parts: int = 1,
    ) -> None:
        try:
            refuse_external_data(data)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        self.name = name
        self.digest = digest
        self.parts = parts
        self.data = data
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            sandbox.command("urface.recognisers.onnx_worker", str(os.getpid()), str(_threads())),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=sandbox.surroundings(),
        )
        self._end = weakref.finalize(self, _end, self._process)
        kind, content = self._ask(MODEL, data)
        if kind != JSON:
            self.close()
            raise UserError(f"{name}: not a model that onnxruntime can run")
        try:
            self._channels_last, self._batch, size = _input(json.loads(content)["inputs"])
        except (
            KeyError,
            TypeError,
            ValueError,
            IndexError,
        ) as error:  # a UserError is a ValueError
            self.close()
            raise UserError(f"{name}: {error}") from None
        declared = preprocessing or Preprocessing(size=size or 112)
        if size and declared.size != size:
            self.close()
            raise UserError(
                f"{name}: takes faces of {size} x {size}, not {declared.size} as declared"
            )
        self._declared = checked(declared)
        self.preprocessing: Preprocessing | None = self._declared

    def features(self, images: Sequence[np.ndarray], keys: Sequence[str]) -> Features:
        """See Recogniser."""
        return self.features_under(self._declared, images, keys)

    def features_under(
        self, preprocessing: Preprocessing, images: Sequence[np.ndarray], keys: Sequence[str]
    ) -> Features:
        """The features under another preprocessing than the declared one, to try it out (sanity.py)."""
        check_images(images)
        size = self._batch or BATCH
        found = []
        for first in range(0, len(images), size):
            pixels = network_input(images[first : first + size], preprocessing)
            missing = size - len(pixels) if self._batch else 0
            if missing:  # a model of a fixed batch gets its number, whatever we have
                pixels = np.concatenate([pixels, np.repeat(pixels[-1:], missing, 0)])
            if self._channels_last:
                pixels = pixels.transpose(0, 2, 3, 1)
            given = self._features(pixels)
            found.append(given[: len(given) - missing])
        vectors = np.concatenate(found) if found else np.empty((0, 0), np.float32)
        if len(vectors) and vectors.shape[1] % self.parts:
            raise UserError(
                f"{self.name}: {vectors.shape[1]} dimensions cannot be split into {self.parts} parts"
            )
        return Features(vectors, self.parts)

    def close(self) -> None:
        """End the process."""
        self._end()

    def _features(self, pixels: np.ndarray) -> np.ndarray:
        kind, content = self._ask(FACES, *packed(pixels))
        if kind != FEATURES:
            raise UserError(f"{self.name}: its process answers something else than features")
        try:
            values = unpacked(content)
        except ValueError:
            raise UserError(f"{self.name}: its process answers no array") from None
        if values.ndim != 2 or len(values) != len(pixels):
            raise UserError(
                f"{self.name}: gives {list(values.shape)} for {len(pixels)} faces, not [N, D]"
            )
        return values

    def _ask(self, kind: bytes, *parts: bytes | memoryview) -> tuple[bytes, bytes]:
        source, answers = self._process.stdin, self._process.stdout
        assert source is not None
        assert answers is not None
        with self._lock:
            try:
                send(source, kind, *parts)  # type: ignore[arg-type]
                _wait(answers)  # type: ignore[arg-type]
                got, content = receive(answers)  # type: ignore[arg-type]
            except (EOFError, OSError, ValueError):
                code = self._process.poll()
                self.close()
                end = "" if code is None else f" (exit {code})"
                raise UserError(f"{self.name}: the process that runs it has ended{end}") from None
        if got == ERROR:
            reason = sandbox.one_line(content.decode(errors="replace"))
            if reason == "onnxruntime is not installed":
                reason = "an ONNX model needs onnxruntime: pip install 'urface[onnx]'"
            raise UserError(f"{self.name}: {reason}")
        return got, content


def open_onnx(
    path: Path, preprocessing: Preprocessing | None, parts: int, sha256: str = ""
) -> OnnxModel:
    """The model in ``path``; see OnnxModel."""
    if path.stat().st_size > LARGEST:
        raise UserError(
            f"{path}: more than {LARGEST >> 30} GiB, which no ONNX model of one file has"
        )
    digest = digest_of(path, sha256)
    return OnnxModel(path.read_bytes(), str(path), digest, preprocessing, parts)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was not yet flushed has nowhere to go
                pipe.close()


def _wait(answers: BinaryIO) -> None:
    """Wait for the beginning of an answer. Raises EOFError where none comes in time."""
    poller = select.poll()  # select itself fails where a process has more than 1,024 files open
    poller.register(answers, select.POLLIN)
    if not poller.poll(PATIENCE * 1000):
        raise EOFError


def _threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "")
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return int(given) if given.isdigit() and int(given) else cores


def _input(inputs: list[dict[str, Any]]) -> tuple[bool, int, int]:
    """Whether channels come last, the batch that is fixed (0: free) and the side (0: free)."""
    if len(inputs) != 1 or inputs[0]["type"] != "tensor(float)" or len(inputs[0]["shape"]) != 4:
        got = ", ".join(f"{v['type']} {v['shape']}" for v in inputs)
        raise UserError(f"takes {sandbox.one_line(got)}, not one input of floats [N, 3, S, S]")
    batch, *rest = inputs[0]["shape"]
    last = rest[2] == 3 and rest[0] != 3
    sides = rest[:2] if last else rest[1:]
    channels = rest[2] if last else rest[0]
    if channels not in (3, None) or sides[0] != sides[1]:
        raise UserError(f"takes {inputs[0]['shape']}, not [N, 3, S, S] or [N, S, S, 3]")
    return last, int(batch or 0), int(sides[0] or 0)
