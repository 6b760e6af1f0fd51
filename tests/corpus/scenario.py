"""Faces in a folder, a plan over them, and what came out."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from small_model import SETTINGS, pictures, small_model
from urface.commands.embed import find_faces
from urface.corpus.plan import Plan, Recipe
from urface.data.decode import encode_jpeg
from urface.data.source import FaceSource
from urface.embedder import Embedder
from urface.recognisers.features_parts import FeaturesParts


def faces(
    folder: Path, count: int, bad: tuple[int, ...], first: int = 0, dark: bool = False
) -> Path:
    """``count`` images 0000.jpg and so on, those of the numbers ``bad`` cut short."""
    folder.mkdir(exist_ok=True)
    images = pictures(count) * (0 if dark else 1)
    for number, image in enumerate(images, first):
        data = encode_jpeg(np.ascontiguousarray(image))
        (folder / f"{number:04d}.jpg").write_bytes(data[:60] if number in bad else data)
    return folder


@functools.cache
def _embedder() -> Embedder:
    return Embedder(small_model(), SETTINGS, device="cpu", precision="fp32")


def embedder() -> Embedder:
    """A small one of its own."""
    return Embedder(_embedder().model, SETTINGS, device="cpu", precision="fp32")


def sources_of(*folders: Path) -> list[tuple[str, FaceSource]]:
    return find_faces([str(folder) for folder in folders])


def plan_of(
    *folders: Path, size: int = 5, batch: int = 4, model: str = "m", form: str = "parquet"
) -> Plan:
    return Plan(sources_of(*folders), Recipe(model, size, batch, form))


def listed(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows_of(folder: Path) -> list[str]:
    """The keys that a reader of a folder of parts sees, sorted; a key that is there twice is there twice."""
    names = [part["name"] for part in json.loads((folder / "parts.json").read_text())["parts"]]
    assert len(names) == len(set(names))
    return sorted(FeaturesParts(folder, "x")._stored.keys)
