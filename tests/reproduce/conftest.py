"""Eight made-up people to train on, eight others to test with, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from small_model import one_thread
from urface.config import (
    DataSettings,
    ModelSettings,
    ObjectiveSettings,
    OptimSettings,
    RunSettings,
    TrainSettings,
    UncertaintySettings,
)
from urface.config_reproduce import ReproduceSettings
from urface.data.decode import encode_png
from urface.data.folders import read_folder
from urface.evaluation.outcomes import TestProtocol
from urface.evaluation.protocol import drawn_pairs, search_protocol
from urface.reproduce import references
from urface.reproduce.faces import ReproductionFaces, galleries

__all__ = ["one_thread"]

Plan = Callable[..., ReproduceSettings]


def write_people(folder: Path, people: int, shots: int, seed: int) -> Path:
    """Each person a smooth pattern of their own under noise."""
    random = np.random.default_rng(seed)
    for person in range(people):
        pattern = np.kron(random.uniform(40, 215, (8, 8, 3)), np.ones((8, 8, 1)))
        (folder / f"p{person:02d}").mkdir(parents=True)
        for shot in range(shots):
            image = np.clip(pattern + random.normal(0, 30, pattern.shape), 0, 255)
            (folder / f"p{person:02d}" / f"{shot}.png").write_bytes(
                encode_png(image.astype(np.uint8))
            )
    return folder


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("people")
    return write_people(folder / "train", 8, 6, 0), write_people(folder / "test", 16, 5, 1)


@pytest.fixture
def plan(people: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Settings of a tiny reproduction; keywords replace fields. Its faces are those of ``people``."""

    def made_up(settings: ReproduceSettings, progress: bool) -> ReproductionFaces:
        train, test = (read_folder(folder) for folder in people)
        strangers = np.arange(16) >= 10

        def search(images: int, reserved: int):  # type: ignore[no-untyped-def]
            return search_protocol(test.labels, strangers, images, reserved)

        protocol = TestProtocol(
            test.labels, drawn_pairs(test.labels, 4, 12), galleries(settings.gallery_images, search)
        )
        return ReproductionFaces(train, test, protocol, "patterns", "other patterns", True)

    monkeypatch.setattr("urface.reproduce.run.reproduction_faces", made_up)
    # Too few impostor pairs for a threshold, and an untrained network need not be any good here.
    monkeypatch.setattr("urface.reproduce.run.calibrate", lambda *a, **k: None)
    monkeypatch.setattr(references, "fit_batch_norm", lambda network, *rest: network.eval())

    def make(**fields: object) -> ReproduceSettings:
        train = TrainSettings(
            data=DataSettings(),
            model=ModelSettings("small", 64, 64, 32, 4, 16.0, (1.0, 64.0)),
            objective=ObjectiveSettings("confidence", 4.0),
            optim=OptimSettings(batch_size=16, epochs=2, learning_rate=0.02),
            uncertainty=UncertaintySettings(2, identities=4, images_per_identity=2),
            run=RunSettings(precision="fp32", threads=1, log_every=1, device="cpu"),
        )
        values = {"out": str(tmp_path / "out"), "settings": train, "resamples": 100}
        return ReproduceSettings(**(values | fields))  # type: ignore[arg-type]

    return make
