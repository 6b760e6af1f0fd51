"""Two gloo ranks that must say the same of a fault that only one of them meets: see test_agreement.py.

    python agreeing.py FOLDER DATA

What each rank said is JSON on the last line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

from training.forked import plan, said, together
from urface.data.decode import encode_png
from urface.data.frames import Frames
from urface.data.source import build_source
from urface.training.diagnosis import BrokenStep, stop_not_finite
from urface.training.rollback import FILE, MOST, leave_out
from urface.training.train import train
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


if __name__ == "__main__":
    torch.set_num_threads(1)
    where, faces = Path(sys.argv[1]), sys.argv[2]
    print(json.dumps(together(2, where / "ranks", work)))
