"""A made-up test set and an untrained model to embed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_model import SETTINGS, one_thread, pictures, small_model
from urface.data.decode import encode_png
from urface.data.folders import read_folder
from urface.data.source import FaceSource
from urface.embedder import Embedder

__all__ = ["one_thread"]  # a fixture for every test of this folder


@pytest.fixture(scope="module")
def embedder(one_thread: None) -> Embedder:
    return Embedder(small_model(), SETTINGS, device="cpu", precision="fp32")


@pytest.fixture
def faces(tmp_path: Path) -> FaceSource:
    """5 people with 1, 2, 3, 3 and 3 images in LFW's layout; Bo_0002 is truncated."""
    number = 0
    for person, count in (("Al", 1), ("Bo", 2), ("Cy", 3), ("Di", 3), ("Ed", 3)):
        (tmp_path / "lfw" / person).mkdir(parents=True)
        for image in range(1, count + 1):
            data = encode_png(pictures(1, seed=number)[0])
            if (person, image) == ("Bo", 2):
                data = data[:-9]
            (tmp_path / "lfw" / person / f"{person}_{image:04d}.png").write_bytes(data)
            number += 1
    return read_folder(tmp_path / "lfw")
