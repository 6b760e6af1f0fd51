"""An untrained model, small enough to embed in milliseconds."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from urface.config import ModelSettings, ObjectiveSettings
from urface.models.urface import URFace, build_urface

SETTINGS = ModelSettings(
    "small", 64, 70, 32, 4, initial_confidence=16.0, confidence_range=(1.0, 64.0)
)


def pictures(count: int, size: int = 70, seed: int = 0) -> np.ndarray:
    """Smooth patterns, [count, size, size, 3] uint8."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 7, 7, 3)).astype(np.uint8)
    return np.repeat(np.repeat(coarse, size // 7, 1), size // 7, 2)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads only slow a model this small down, the more so where cores are shared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_WORLD_SIZE", "1024")
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)


def small_model() -> URFace:
    """Random weights, the same each time, with the statistics of a few batches."""
    return copy.deepcopy(_built())


@functools.cache
def _built() -> URFace:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_urface(SETTINGS, ObjectiveSettings("confidence", 2.0))
        with torch.no_grad():
            for seed in range(4):
                model(torch.from_numpy(pictures(8, 70, 100 + seed)[:, 3:67, 3:67].copy()))
    return model.eval()
