"""Per-image signs of how sure one may be: the embedding's length, and what needs no detector or network.

They stand beside the network's own variance: an uncertainty worth having ranks errors better.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from urface.atomic import atomic_path
from urface.data.decode import DecodeError
from urface.data.source import FaceSource
from urface.embedder import Embedder
from urface.evaluation.conditions import Condition
from urface.evaluation.embedding import ConditionFrames, TestFaces, embed_test_set

SIGNS = ("sharpness", "contrast", "brightness")


def signs(frame: np.ndarray) -> tuple[float, float, float]:
    """How good ``frame`` [S, S, 3] uint8 looks, larger is better, of each of SIGNS.

    sharpness   logarithm of the variance of the Laplacian of grey
    contrast    standard deviation of grey
    brightness  nearness of mean grey to the middle of its range
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    laplacian = cv2.Laplacian(grey, cv2.CV_32F)
    sharpness = float(np.log(laplacian.var() + 1e-3))
    return sharpness, float(grey.std()), -abs(float(grey.mean()) - 127.5)


def signs_of_all(
    source: FaceSource, put_in: Condition, frames: ConditionFrames, embedder: Embedder
) -> np.ndarray:
    """[N, 3] ``signs`` of the images in a condition as the network sees them; NaN for failures."""
    values = np.full((len(source), len(SIGNS)), np.nan)
    for place in range(len(source)):
        try:
            values[place] = signs(frames.get(place, put_in, embedder))
        except DecodeError:
            continue  # counted and named where the faces are embedded
    return values


def embed_with_norms(
    embedder: Embedder,
    source: FaceSource,
    put_in: Condition,
    frames: ConditionFrames,
    cache: Path | None,
    progress: bool = True,
) -> tuple[TestFaces, np.ndarray]:
    """Embed all of ``source``, and [N] the length of each embedding before it is normalised.

    The lengths lie beside the ``cache``; NaN where an image could not be embedded.
    """
    beside = cache.with_suffix(".norms.safetensors") if cache else None
    if cache and beside and cache.is_file() and beside.is_file():
        found = embed_test_set(embedder, source, put_in, cache=cache, frames=frames)
        return found, load_file(beside)["norm"]
    if cache:
        cache.unlink(missing_ok=True)  # without its lengths it is half of what is wanted
    with recorded_norms(embedder) as parts:
        tested = embed_test_set(
            embedder, source, put_in, cache=cache, frames=frames, progress=progress
        )
    norm = np.full(len(source), np.nan, np.float32)
    there = tested.row >= 0
    norm[there] = np.concatenate(parts)[tested.row[there]]
    if beside and not tested.failures:
        with atomic_path(beside) as temporary:
            save_file({"norm": norm}, temporary)
    return tested, norm


@contextmanager
def recorded_norms(embedder: Embedder) -> Iterator[list[np.ndarray]]:
    """While open, the lengths of the embeddings of every batch, in order."""
    parts: list[np.ndarray] = [np.empty(0, np.float32)]

    def record(module: Any, inputs: Any, output: torch.Tensor) -> None:
        parts.append(output.detach().float().norm(dim=1).cpu().numpy())

    handle = embedder.model.embedding_head.register_forward_hook(record)
    try:
        yield parts
    finally:
        handle.remove()
