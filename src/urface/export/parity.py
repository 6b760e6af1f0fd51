"""Whether an exported file says what the model says, asked of ONNX Runtime in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from urface.embedder import Embedder
from urface.recognisers.onnx_process import OnnxProcess
from urface.types import UserError

BATCHES = (1, 2, 5)  # the batch must be free


@dataclass(frozen=True)
class Difference:
    """Largest differences: ``mean`` absolute, ``confidence`` and ``variance`` relative; NaN where one is."""

    mean: float
    confidence: float
    variance: float

    @property
    def largest(self) -> float:
        """Of the three; NaN where one of them is."""
        return float(np.max([self.mean, self.confidence, self.variance]))

    def __str__(self) -> str:
        return (
            f"mean {self.mean:.2g}, confidence {self.confidence:.2g}, variance {self.variance:.2g}"
        )


def compared(data: bytes, name: str, embedder: Embedder) -> Difference:
    """The model in the bytes ``data`` against ``embedder``, over made faces in batches of 1, 2 and 5."""
    frames = made_frames(embedder)
    wanted = embedder.embed_frames(iter([list(frames)]), len(frames))
    pixels = frames.transpose(0, 3, 1, 2).astype(np.float32)
    process = OnnxProcess(data, name)
    try:
        first, parts = 0, []
        for batch in BATCHES:
            parts.append(process.run_all(pixels[first : first + batch]))
            first += batch
    finally:
        process.close()
    got = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    worst = []
    for key, relative in (("mean", False), ("confidence", True), ("variance", True)):
        truth = np.asarray(getattr(wanted, key))
        if got.get(key, np.empty(0)).shape != truth.shape:
            raise UserError(f"{name}: its output {key} has not the shape {list(truth.shape)}")
        off = np.abs(got[key] - truth) / (truth if relative else 1.0)
        worst.append(float(off.max()))
    return Difference(*worst)


def made_frames(embedder: Embedder) -> np.ndarray:
    """Synthetic faces, noise, black and white: [8, S, S, 3] uint8 at the size that the network sees."""
    from urface.data.synthetic import render_face

    random = np.random.default_rng(0)
    images = [render_face(1, person, 0, 112).image for person in range(4)]
    images += [random.integers(0, 256, (112, 112, 3)).astype(np.uint8) for _ in range(2)]
    images += [np.full((112, 112, 3), level, np.uint8) for level in (0, 255)]
    return np.stack([embedder.frame(image) for image in images])
