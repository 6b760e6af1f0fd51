"""Saves checkpoints until it is killed, again and again: what test_kills.py looks at.

It forks, since a process that imports torch anew takes longer to start than fifty kills to do; so it must
have a single thread and runs in a process of its own (apart.py).
"""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.utils.tensorboard.writer import SummaryWriter

from urface.config import (
    DataSettings,
    ModelSettings,
    ObjectiveSettings,
    OptimSettings,
    RunSettings,
    TrainSettings,
    UncertaintySettings,
)
from urface.training import checkpoint, loop
from urface.training.logs import read_log
from urface.training.train import train

assert SummaryWriter  # imported once here, not in each child
STATE: dict[str, torch.Tensor] = {}


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
    whole = temporary.read_bytes()
    with open(folder / "state.safetensors", "wb") as file:
        for start in range(0, len(whole), 65536):
            file.write(whole[start : start + 65536])


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
    except BaseException:
        traceback.print_exc()  # or nobody would learn of it
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
    # Anywhere in the next few saves, whose length depends on the size and the machine.
    begun = time.monotonic()
    os.read(ours, 8)
    time.sleep(random.Random(seed).uniform(0.0, 2.0) * min(time.monotonic() - begun, 1.0))
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


def settings_of(folder: Path, data: str, epochs: float = 9000) -> TrainSettings:
    return TrainSettings(
        data=DataSettings(train=data),
        model=ModelSettings("tiny", 64, 66, 32, 4, 16.0, (1.0, 64.0)),
        objective=ObjectiveSettings("confidence", 2.0),
        optim=OptimSettings(batch_size=8, epochs=epochs, learning_rate=0.02),
        uncertainty=UncertaintySettings(0),
        run=RunSettings(str(folder), precision="fp32", threads=1, log_every=1, checkpoint_every=40),
    )


def terminate_training(
    folder: Path, data: str, again_after: float | None = None
) -> tuple[int, int, int, float]:
    """Exit code after a SIGTERM, the checkpoint's step, the log's last step, the seconds it took."""
    settings = settings_of(folder, data)
    child = forked(lambda: train(settings, progress=False) and None)
    log, deadline = folder / "log.jsonl", time.monotonic() + 60
    while not (log.exists() and len(log.read_text().splitlines()) > 2):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    asked = time.monotonic()
    os.kill(child, signal.SIGTERM)
    if again_after is not None:
        time.sleep(again_after)
        os.kill(child, signal.SIGTERM)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seconds = time.monotonic() - asked
    return code, careful_step(folder / "checkpoints"), read_log(log)[-1]["step"], seconds


def soak(folder: Path, count: int, data: str, leak: int = 0) -> dict[str, float]:
    """Growth of memory in MB over the second half of ``count`` steps, and of files and threads.

    ``leak`` bytes are kept at each step: the control.
    """
    kept: list[bytearray] = []
    seen: list[tuple[float, int, int, float]] = []
    every = 10 if count > 1000 else 1
    plain = loop.to_device

    def watch(batch, env):  # type: ignore[no-untyped-def]
        kept.append(bytearray(os.urandom(leak)))
        # At the last step the thread that reads ahead has nothing left to do and is gone.
        if count // 2 < len(kept) < count and len(kept) % every == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            files = len(os.listdir("/proc/self/fd"))
            threads = len(os.listdir("/proc/self/task"))
            seen.append(
                (pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files, threads, time.monotonic())
            )
        return plain(batch, env)

    loop.to_device = watch  # type: ignore[assignment]
    train(settings_of(folder, data, count / 6), progress=False)
    loop.to_device = plain
    memory, files, threads, when = (list(column) for column in zip(*seen, strict=True))
    third = len(memory) // 3
    growth = sum(memory[-third:]) / third - sum(memory[:third]) / third
    return {
        "megabytes": growth,
        "megabytes_an_hour": growth / (when[-third // 2] - when[third // 2]) * 3600,
        # The least of each third: the thread that reads ahead may have an image open at any moment.
        "files": min(files[-third:]) - min(files[:third]),
        "threads": min(threads[-third:]) - min(threads[:third]),
        "steps": len(kept),
    }


def many_kills(folder: Path, count: int, megabytes: int) -> dict[str, list[int]]:
    """SIGKILL at random while checkpoints of that size are saved; unreadable and too old."""
    size = megabytes << 18  # of 4 bytes
    STATE.update({f"part{n}": torch.full((size // 8,), float(n)) for n in range(8)})
    return kills(folder, count)


def terms(folder: Path, count: int, data: str) -> list[tuple[int, int, int, float]]:
    """SIGTERM to a training run, each in a folder of its own."""
    return [terminate_training(folder / str(n), data) for n in range(count)]


def twice(folder: Path, count: int, data: str) -> list[tuple[int, int, int, float]]:
    """The same with a second SIGTERM soon after."""
    draw = random.Random(7)
    waits = [draw.uniform(0.0, 0.1) for _ in range(count)]
    return [terminate_training(folder / str(n), data, w) for n, w in enumerate(waits)]


def soaks(folder: Path, count: int, data: str) -> list[dict[str, float]]:
    """So many steps, and what they held of memory, files and threads; the same with a leak."""
    sound = soak(folder / "sound", count, data)
    leak = 50_000 if count > 1000 else 100_000
    return [sound, soak(folder / "leaking", count, data, leak)]
