"""Two gloo ranks that must say the same of a fault that only one of them meets: see test_agreement.py."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.forked import plan, said, together
from urface.config import DataSettings, TrainSettings
from urface.data.decode import encode_png
from urface.data.frames import Frames
from urface.data.open import open_faces
from urface.data.sampler import Draw, EpochSampler
from urface.data.source import FaceSource, build_source
from urface.environment import environment
from urface.models.urface import build_urface
from urface.training import loop
from urface.training.diagnosis import BrokenStep, stop_not_finite
from urface.training.rollback import FILE, MOST, leave_out
from urface.training.train import train
from urface.training.uncertainty import pair_sampler, train_uncertainty
from urface.types import FaceBatch


def rollbacks(folder: Path, rank: int) -> list[bool]:
    """Whether the last rollback that is allowed, and the one after it, are done; rank 1 comes late."""
    (folder / FILE).write_text(json.dumps({"embedding": list(range(MOST - 1))}))
    found = []
    for step in (20, 30):
        time.sleep(0.3 * rank)
        found.append(leave_out(folder, "embedding", step))
    return found


def broken_step() -> BrokenStep:
    images, index = torch.full((2, 3, 4, 4), float("nan")), np.arange(2)
    batch = FaceBatch(np.zeros((2, 3, 4, 4)), index, np.zeros((2, 0)), index)
    norm = torch.tensor(float("nan"))
    return BrokenStep(
        "embedding", 3, 0.1, {}, norm, images, {}, [], lambda _: [], batch, ["a", "b"]
    )


def corrupt(rank: int) -> list[list[str]]:
    """What each rank knows of after image 1 + 2 rank was met on it, and what all know together."""
    keys = [f"p/{number}.png" for number in range(6)]
    good = encode_png(np.zeros((8, 8, 3), np.uint8))
    source = build_source("made up", keys, ["p"] * 6, lambda n: good[:-9] if n % 2 else good)
    frames = Frames(source, 8, 0.9, progress=False)
    frames.get(1 + 2 * rank)
    alone = sorted(frames.corrupt)
    return [alone, list(frames.join_corrupt()), sorted(frames.corrupt)]


def both(where: Path, faces: str) -> list[dict[str, Any]]:
    """What each of two ranks said."""

    def work(rank: int) -> dict[str, Any]:
        folder = where / "run"
        settings = plan(folder, faces, 3)
        (folder / "diagnosis_rank1.json").mkdir(parents=True, exist_ok=True)  # cannot be written
        nowhere = plan(folder, str(where / "nowhere"), 3)
        return {
            "missing": said(lambda: train(nowhere, progress=False)),
            "diagnosis": said(lambda: stop_not_finite(settings.run, broken_step())),
            "rollbacks": rollbacks(folder, rank),
            "corrupt": corrupt(rank),
        }

    return together(2, where / "ranks", work)


AT = 3  # the step whose batch rank 1 cannot make


def without(source: FaceSource, place: int) -> FaceSource:
    """``source`` with the image at ``place`` cut short."""
    whole = source.read_bytes
    return replace(source, read_bytes=lambda n: whole(n)[:-9] if n == place else whole(n))


def met_by_rank_1(draws: list[Draw]) -> int:
    """An image of rank 1's half of step AT that no rank needs before."""
    others = set(np.concatenate([draw.index for draw in draws[:AT]]).tolist())
    first, second = draws[AT].index.reshape(2, -1).tolist()
    return next(place for place in second if place not in others | set(first))


def strict(folder: Path, faces: str) -> TrainSettings:
    """No image may be corrupt, and none is read before its step."""
    data = DataSettings(faces, cache_gigabytes=0.0, corrupt_share=0.0, workers=1)
    return replace(plan(folder, faces, 3), data=data)


def lacking(where: Path, faces: str) -> list[dict[str, Any]]:
    """What each of two ranks said where rank 1 alone lacks data, in both stages."""
    source = open_faces(faces)
    settings, second = strict(where / "one", faces), strict(where / "two", faces)
    epoch = EpochSampler(len(source), settings.optim.batch_size, settings.run.seed)
    pairs = pair_sampler(second, source.labels)
    bad = [met_by_rank_1([sampler.draw(n) for n in range(AT + 1)]) for sampler in (epoch, pairs)]

    def stage_two() -> None:
        frames = Frames(without(source, bad[1]), second.model.frame_size, progress=False)
        model = build_urface(second.model, second.objective)
        train_uncertainty(second, model, frames, environment(second.run), progress=False)

    def work(rank: int) -> dict[str, Any]:
        return {
            "embedding": said(lambda: train(settings, without(source, bad[0]), progress=False)),
            "uncertainty": said(stage_two),
        }

    return together(2, where / "lacking", work)


class Unforeseen:
    """What a loader would be without `Foreseen`: its error comes when its batch does, on one rank."""

    failed = False

    def __init__(self, loader: Iterator[FaceBatch], depth: int) -> None:
        self.loader = loader

    def __enter__(self) -> Unforeseen:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[FaceBatch]:
        return self.loader


def lacking_unforeseen(where: Path, faces: str) -> list[str]:
    """The control: what each rank ends with."""
    source, settings = open_faces(faces), strict(where / "control", faces)
    epoch = EpochSampler(len(source), settings.optim.batch_size, settings.run.seed)
    bad = met_by_rank_1([epoch.draw(n) for n in range(AT + 1)])

    def work(rank: int) -> str:
        loop.Foreseen = Unforeseen  # type: ignore[assignment, misc]
        try:
            train(settings, without(source, bad), progress=False)
        except Exception as error:
            return type(error).__name__
        return "nothing"

    return together(2, where / "control_ranks", work)
