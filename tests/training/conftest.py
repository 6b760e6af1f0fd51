"""A training set of a few made-up people, small enough to train on in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from urface.config import (
    DataSettings,
    ModelSettings,
    ObjectiveSettings,
    OptimSettings,
    RunSettings,
    TrainSettings,
    UncertaintySettings,
)
from urface.data.decode import encode_png

Settings = Callable[..., TrainSettings]


@pytest.fixture(scope="session")
def faces_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 people x 6 images of 64 x 64: each a smooth pattern of its own under noise."""
    folder = tmp_path_factory.mktemp("faces")
    random = np.random.default_rng(0)
    for person in range(8):
        pattern = np.kron(random.uniform(40, 215, (8, 8, 3)), np.ones((8, 8, 1)))
        (folder / f"p{person}").mkdir()
        for shot in range(6):
            image = np.clip(pattern + random.normal(0, 20, pattern.shape), 0, 255)
            data = encode_png(image.astype(np.uint8))
            (folder / f"p{person}" / f"{shot}.png").write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def settings(faces_folder: Path) -> Settings:
    """Settings for a run in ``out``; keywords replace whole groups."""

    def make(out: Path, epochs: float = 3, uncertainty: int = 0, **groups: object) -> TrainSettings:
        values: dict[str, object] = {
            "data": DataSettings(train=str(faces_folder)),
            "model": ModelSettings(
                "small", 64, 66, 32, 4, initial_confidence=16.0, confidence_range=(1.0, 64.0)
            ),
            "objective": ObjectiveSettings("confidence", 2.0),
            "optim": OptimSettings(batch_size=8, epochs=epochs, learning_rate=0.02),
            "uncertainty": UncertaintySettings(uncertainty, identities=4, images_per_identity=2),
            "run": RunSettings(
                str(out), precision="fp32", threads=1, checkpoint_every=5, log_every=1
            ),
        }
        return TrainSettings(**(values | groups))  # type: ignore[arg-type]

    return make
