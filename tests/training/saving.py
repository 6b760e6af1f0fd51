"""Saves checkpoints until it is killed, again and again: the other side of test_kills.py.

    python saving.py kills FOLDER COUNT       SIGKILL at random while checkpoints are saved
    python saving.py terms FOLDER COUNT DATA  SIGTERM to a training run, each in a folder of its own

It forks, since a process that imports torch anew takes longer to start than fifty kills to do; so it must
have a single thread and cannot be pytest's own process.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from urface.config import (
    DataSettings,
    ModelSettings,
    ObjectiveSettings,
    OptimSettings,
    RunSettings,
    TrainSettings,
)
from urface.training import checkpoint
from urface.training.logs import read_log
from urface.training.train import train

STATE = {f"part{n}": torch.full((256, 256), float(n)) for n in range(8)}


def careful(folder: Path, step: int) -> None:
    checkpoint.save(folder, step, STATE, {"own": torch.full((64, 64), float(step))}, {})


def careful_step(folder: Path) -> int:
    found = checkpoint.load_latest(folder)
    return -1 if found is None else found.step


def naive(folder: Path, step: int) -> None:
    """What the careful writer is compared with: the same file, written over in place."""
    data = {**STATE, "step": torch.tensor(step)}
    temporary = folder / "new"
    save_file(data, temporary)
    with open(folder / "state.safetensors", "wb") as file:
        for chunk in (temporary.read_bytes()[i : i + 65536] for i in range(0, 1 << 22, 65536)):
            file.write(chunk)


def naive_step(folder: Path) -> int:
    path = folder / "state.safetensors"
    return int(load_file(path)["step"]) if path.exists() else -1


def forked(work: Callable[[], None]) -> int:
    """The process id of a child that does ``work`` and ends without pytest's or torch's clean-up."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        os._exit(code)


def kill_while_saving(
    folder: Path, save: Callable[[Path, int], None], read: Callable[[Path], int], seed: int
) -> tuple[bool, bool]:
    """Kill a child that saves step after step; whether what it left cannot be read, or is too old."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        first = read(folder) + 1
    except Exception:
        (folder / "state.safetensors").unlink()
        first = 0
    ours, theirs = os.pipe()

    def work() -> None:
        for step in range(first, first + 10_000):
            save(folder, step)
            os.write(theirs, step.to_bytes(8, "little"))

    child = forked(work)
    os.close(theirs)
    os.read(ours, 8)  # once it is under way
    time.sleep(random.Random(seed).uniform(0.0, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    finished = first
    while written := os.read(ours, 8):
        finished = int.from_bytes(written, "little")
    os.close(ours)
    try:
        return False, read(folder) < finished
    except Exception:
        return True, False


def kills(folder: Path, count: int) -> dict[str, list[int]]:
    """Unreadable and too old, for both writers."""
    found = {}
    for name, save, read in (("careful", careful, careful_step), ("naive", naive, naive_step)):
        results = [kill_while_saving(folder / name, save, read, seed) for seed in range(count)]
        found[name] = [sum(column) for column in zip(*results, strict=True)]
    return found


def terminate_training(folder: Path, data: str) -> tuple[int, int, int]:
    """Exit code after a SIGTERM, the step of the checkpoint and the last step of the log."""
    settings = TrainSettings(
        data=DataSettings(train=data),
        model=ModelSettings("tiny", 64, 66, 32, 4, 16.0, (1.0, 64.0)),
        objective=ObjectiveSettings("confidence", 2.0),
        optim=OptimSettings(batch_size=8, epochs=9000, learning_rate=0.02),
        run=RunSettings(str(folder), precision="fp32", threads=1, log_every=1),
    )
    child = forked(lambda: train(settings, progress=False) and None)
    log, deadline = folder / "log.jsonl", time.monotonic() + 60
    while not (log.exists() and len(log.read_text().splitlines()) > 2):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    os.kill(child, signal.SIGTERM)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, careful_step(folder / "checkpoints"), read_log(log)[-1]["step"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, where, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if what == "kills":
        print(json.dumps(kills(where, number)))
    else:
        print(json.dumps([terminate_training(where / str(n), sys.argv[4]) for n in range(number)]))
