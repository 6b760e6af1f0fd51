"""An ONNX model as a Recogniser: it runs in a process of its own (onnx_worker.py), never in ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from urface.embedder import check_images
from urface.recognisers import sandbox
from urface.recognisers.convert_weights import digest_of
from urface.recognisers.network import BATCH
from urface.recognisers.onnx_file import LARGEST
from urface.recognisers.onnx_ours import OUTPUTS, read_ours
from urface.recognisers.onnx_process import OnnxProcess
from urface.recognisers.preprocessing import checked, network_input
from urface.recognisers.recogniser import Features, Preprocessing
from urface.types import UserError


class OnnxModel:
    """A network in an ONNX file. Safe to use from several threads; ``close`` ends its process.

    data           the file's bytes
    preprocessing  what it wants; without one InsightFace's convention at the size that the file names
    parts          K, the sub-embeddings that its output is read as

    A file that `urface export` wrote says all that itself, and gives confidence and variance too. Raises
    UserError where the file is damaged, keeps weights in another file, takes anything but [N, 3, S, S] (or
    [N, S, S, 3]) or gives anything but [N, D], and where onnxruntime is missing.
    """

    needs_images = True
    architecture = "onnx"

    def __init__(
        self,
        data: bytes,
        name: str,
        digest: str,
        preprocessing: Preprocessing | None = None,
        parts: int = 1,
    ) -> None:
        self.name = name
        self.digest = digest
        self.parts = parts
        self.data = data
        self._process = OnnxProcess(data, name)
        try:
            self._channels_last, self._batch, size = _input(self._process.described["inputs"])
            self._ours = read_ours(self._process.described)
            if self._ours and (preprocessing is not None or parts != 1):
                raise UserError(
                    "an export of urface, which says itself how it is read: leave --preprocessing and "
                    "--parts out"
                )
        except (
            KeyError,
            TypeError,
            ValueError,
            IndexError,
        ) as error:  # a UserError is a ValueError
            self.close()
            raise UserError(f"{name}: {error}") from None
        self.has_variance = self._ours is not None and self._ours.has_variance
        declared = preprocessing or Preprocessing(size=size or 112)
        if self._ours:
            declared, self.parts = self._ours.preprocessing, self._ours.parts
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
        found: list[tuple[np.ndarray, ...]] = []
        for first in range(0, len(images), size):
            pixels = network_input(images[first : first + size], preprocessing)
            missing = size - len(pixels) if self._batch else 0
            if missing:  # a model of a fixed batch gets its number, whatever we have
                pixels = np.concatenate([pixels, np.repeat(pixels[-1:], missing, 0)])
            if self._channels_last:
                pixels = pixels.transpose(0, 2, 3, 1)
            given = self._all(pixels) if self._ours else (self._features(pixels),)
            found.append(tuple(part[: len(part) - missing] for part in given))
        columns = [np.concatenate(column) for column in zip(*found, strict=True)]
        vectors = columns[0] if found else np.empty((0, 0), np.float32)
        if self._ours and found:
            learned = columns[1] if self._ours.learned else None
            return Features(vectors, self.parts, learned, columns[2] if self.has_variance else None)
        if len(vectors) and vectors.shape[1] % self.parts:
            raise UserError(
                f"{self.name}: {vectors.shape[1]} dimensions cannot be split into {self.parts} parts"
            )
        return Features(vectors, self.parts)

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _all(self, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        """Vectors [N, K * D], confidence [N, K] and variance of a file of ours."""
        self._process.name = self.name
        outputs = self._process.run_all(pixels)
        if any(len(outputs[name]) != len(pixels) for name in OUTPUTS):
            raise UserError(f"{self.name}: gives not one answer for each of {len(pixels)} faces")
        mean, confidence, variance = (outputs[name] for name in OUTPUTS)
        return mean.reshape(len(mean), -1), confidence, variance

    def _features(self, pixels: np.ndarray) -> np.ndarray:
        self._process.name = self.name  # who opened us may call us otherwise
        values = self._process.run(pixels)
        if values.ndim != 2 or len(values) != len(pixels):
            raise UserError(
                f"{self.name}: gives {list(values.shape)} for {len(pixels)} faces, not [N, D]"
            )
        return values


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
