"""A preprocessing that was declared wrongly is noticed and said; a right one is not complained about."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from urface.config import ModelSettings, ObjectiveSettings
from urface.models.architectures import fold_preprocessing
from urface.models.urface import URFace, build_urface
from urface.recognisers.features_file import FeaturesFile
from urface.recognisers.network import NetworkRecogniser
from urface.recognisers.preprocessing import network_input
from urface.recognisers.recogniser import Preprocessing
from urface.recognisers.sanity import (
    PEOPLE,
    alternatives,
    preprocessing_warning,
    probe_faces,
    separation,
)

SETTINGS = ModelSettings("tiny", 64, 64, PEOPLE, 1)
USUAL = Preprocessing(64)


@pytest.fixture(scope="module")
def knows_rgb() -> URFace:
    """A network of random weights whose last layer is fitted, in closed form, to tell the people apart.

    It is fitted on RGB pixels from -1 to 1: within a person as little as possible may change.
    """
    faces, people = probe_faces()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_urface(SETTINGS, ObjectiveSettings("cosface", 0.0))
    x = torch.from_numpy(network_input(list(faces), USUAL))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.backbone.train()(x)
        trunk = model.backbone.eval()(x).double()
    middle = trunk.mean(0)
    own = torch.stack([trunk[people == person].mean(0) for person in range(PEOPLE)])
    within = trunk - own[torch.from_numpy(people)]
    ridge = within.square().sum() / 10
    # (within' within + ridge)^-1 (own - middle)' by Woodbury: there are more features than faces.
    between = (own - middle).T
    small = within @ within.T + ridge * torch.eye(len(within), dtype=torch.float64)
    weight: Tensor = (between - within.T @ torch.linalg.solve(small, within @ between)) / ridge
    weight = weight / weight.norm()
    with torch.no_grad():
        model.embedding_head.fc.weight.copy_(weight.T)  # type: ignore[union-attr, operator]
        model.embedding_head.fc.bias.copy_(-(middle @ weight))  # type: ignore[union-attr, operator]
    return model.eval()


def declared(
    model: URFace, preprocessing: Preprocessing, trained_by_us: bool = False
) -> NetworkRecogniser:
    """The network as it comes out where a user declares ``preprocessing`` for its weights."""
    own = copy.deepcopy(model)
    facts: dict[str, Any] = {} if trained_by_us else {"imported": {}}
    fold_preprocessing(own, preprocessing.mean, preprocessing.scale, preprocessing.colour == "bgr")
    return NetworkRecogniser(
        "theirs", "0", own, SETTINGS, preprocessing, facts, device="cpu", precision="fp32"
    )


def test_a_right_declaration_is_not_complained_about(knows_rgb: URFace) -> None:
    assert preprocessing_warning(declared(knows_rgb, USUAL)) is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Preprocessing(64, "bgr"), "channels swapped"),
        (Preprocessing(64, mean=0.0, scale=1.0), "pixels from -1 to 1"),
        (Preprocessing(64, mean=0.0, scale=1 / 255), "pixels from -1 to 1"),
        (Preprocessing(64, mean=0.0), "pixels from -1 to 1"),
    ],
)
def test_a_wrong_declaration_is_said_in_one_line(
    knows_rgb: URFace, wrong: Preprocessing, words: str
) -> None:
    warning = preprocessing_warning(declared(knows_rgb, wrong))
    assert warning is not None
    assert f"theirs: the declared preprocessing looks wrong ({words}?)" in warning
    assert "\n" not in warning


def test_a_model_that_we_trained_is_not_asked(knows_rgb: URFace) -> None:
    recogniser = declared(knows_rgb, Preprocessing(64, "bgr"), trained_by_us=True)
    assert preprocessing_warning(recogniser) is None


def test_features_on_disk_have_no_preprocessing_to_be_wrong(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", features=np.ones((2, 4), np.float32), keys=np.array(["a", "b"]))
    assert preprocessing_warning(FeaturesFile(tmp_path / "f.npz", "f")) is None


def test_the_alternatives_are_never_what_was_declared() -> None:
    for given in (
        USUAL,
        Preprocessing(mean=0.0, scale=1 / 255),
        Preprocessing(mean=0.0, scale=1.0),
    ):
        tried = [alternative for alternative, _ in alternatives(given)]
        assert given not in tried
        assert len({str(p) for p in tried}) == len(tried) >= 3
        assert {p.colour for p in tried} == {"rgb", "bgr"}


def test_separation_is_d_prime_of_all_pairs() -> None:
    random, people = np.random.default_rng(0), np.array([0, 0, 1, 1, 1, 2])
    cosines = random.uniform(-1, 1, (6, 6))
    genuine, impostor = [], []
    for i in range(6):
        for j in range(i + 1, 6):
            (genuine if people[i] == people[j] else impostor).append(cosines[i, j])
    spread = ((np.var(genuine) + np.var(impostor)) / 2) ** 0.5
    expected = (np.mean(genuine) - np.mean(impostor)) / spread
    assert separation(cosines, people) == pytest.approx(expected, abs=1e-12)
