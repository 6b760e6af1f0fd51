"""An ONNX model in a process of its own: what starts it, asks it and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import threading
import weakref
from typing import Any, BinaryIO

import numpy as np

from urface.recognisers import sandbox
from urface.recognisers.onnx_file import refuse_external_data
from urface.recognisers.onnx_worker import (
    ALL,
    ERROR,
    FACES,
    FEATURES,
    JSON,
    MODEL,
    packed,
    receive,
    send,
    split,
    unpacked,
)
from urface.types import UserError

PATIENCE = 600.0  # seconds for one answer


class ProcessEnded(UserError):
    """The process is no more, whatever it was asked; a new one may do better."""


class OnnxProcess:
    """The model of the bytes ``data``. Safe to use from several threads; ``close`` ends the process.

    described  its inputs and outputs: name, type, and shape with None where it is free; its metadata

    Raises UserError, ``name`` first, where the file is damaged or keeps weights in another file, and where
    onnxruntime is missing; ProcessEnded at any question once the process has ended.
    """

    def __init__(self, data: bytes, name: str, threads: int = 0) -> None:
        try:
            refuse_external_data(data)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        self.name = name
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            sandbox.command(
                "urface.recognisers.onnx_worker", str(os.getpid()), str(threads or _threads())
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=sandbox.surroundings(),
        )
        self._end = weakref.finalize(self, _end, self._process)
        kind, content = self._ask(MODEL, data)
        try:
            self.described: dict[str, Any] = json.loads(content)
            if kind != JSON or not self.described["inputs"]:
                raise ValueError
        except (ValueError, LookupError, TypeError):
            self.close()
            raise UserError(f"{name}: not a model that onnxruntime can run") from None

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """The output that is an embedding, of one input of floats."""
        kind, content = self._ask(FACES, *packed(pixels))
        if kind != FEATURES:
            raise UserError(f"{self.name}: its process answers something else than features")
        try:
            return unpacked(content)
        except ValueError:
            raise UserError(f"{self.name}: its process answers no array") from None

    def run_all(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Every output by its name, of one input of floats."""
        _, content = self._ask(ALL, *packed(pixels))
        names = [output["name"] for output in self.described["outputs"]]
        try:
            arrays = [unpacked(part) for part in split(content)]
            return dict(zip(names, arrays, strict=True))
        except ValueError:
            raise UserError(f"{self.name}: its process answers no arrays") from None

    def close(self) -> None:
        """End the process."""
        self._end()

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
                raise ProcessEnded(
                    f"{self.name}: the process that runs it has ended{end}"
                ) from None
        if got == ERROR:
            reason = sandbox.one_line(content.decode(errors="replace"))
            if reason == "onnxruntime is not installed":
                reason = "an ONNX model needs onnxruntime: pip install 'urface[onnx]'"
            raise UserError(f"{self.name}: {reason}")
        return got, content


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
