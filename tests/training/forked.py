"""Trainings on several gloo ranks that are forked, not started: what test_many_ranks.py looks at.

They run in a process of their own (apart.py), since a process that has threads must not fork.
"""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.utils.tensorboard.writer import SummaryWriter

from training.frozen import frozen_model
from training.saving import forked
from training.steps import Recorded, differing, everything, watched
from urface import atomic, distributed
from urface.config import (
    DataSettings,
    ModelSettings,
    ObjectiveSettings,
    OptimSettings,
    RunSettings,
    TrainSettings,
    UncertaintySettings,
)
from urface.losses.objective import Terms
from urface.training import checkpoint
from urface.training import step as step_module
from urface.training import train as train_module
from urface.training.logs import read_log
from urface.training.tensor_file import tensors_digest
from urface.training.train import train
from urface.types import UserError

assert SummaryWriter  # imported once here, not in each child

CALM = 8  # epochs of the run that test_restarts.py disturbs

Work = Callable[[int], Any]


def plan(out: Path, data: str, epochs: float, rate: float = 0.02) -> TrainSettings:
    return TrainSettings(
        data=DataSettings(train=data),
        model=ModelSettings("tiny", 64, 66, 32, 4, 16.0, (1.0, 64.0)),
        objective=ObjectiveSettings("confidence", 2.0),
        optim=OptimSettings(batch_size=8, epochs=epochs, learning_rate=rate),
        uncertainty=UncertaintySettings(6, identities=4, images_per_identity=2),
        run=RunSettings(str(out), precision="fp32", threads=1, log_every=1, checkpoint_every=5),
    )


def start(world: int, folder: Path, work: Work) -> list[int]:
    """The process ids of ``world`` ranks that each write what ``work`` gives to folder/rank<n>.json."""
    folder.mkdir(parents=True, exist_ok=True)
    meeting = folder / f"meet{time.monotonic_ns()}"

    def rank_of(rank: int) -> Callable[[], None]:
        def body() -> None:
            where = f"file://{meeting}"
            wait = timedelta(seconds=60)
            dist.init_process_group(
                "gloo", init_method=where, rank=rank, world_size=world, timeout=wait
            )
            (folder / f"rank{rank}.json").write_text(json.dumps(work(rank)))
            dist.destroy_process_group()

        return body

    return [forked(rank_of(rank)) for rank in range(world)]


def together(world: int, folder: Path, work: Work) -> list[Any]:
    """What ``work`` gave on each of ``world`` ranks."""
    children = start(world, folder, work)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * world, codes
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(world)]


Lives = list[tuple[int, int]]  # numbers of ranks, and the step of each at whose end it is stopped


def lived(settings: TrainSettings, lives: Lives) -> dict[str, Any]:
    """Losses and global ids of a run without stage two, whose BatchNorms rest, over such ``lives``."""
    build = lambda model, objective: frozen_model(  # noqa: E731
        replace(settings, model=model, objective=objective)
    )
    train_module.build_urface = build  # type: ignore[assignment]
    out = Path(settings.run.out)
    settings = replace(settings, uncertainty=replace(settings.uncertainty, steps=0))
    ids: list[list[int]] = []
    for number, (world, stop) in enumerate(lives):

        def life(rank: int, world: int = world, stop: int = stop) -> list[list[int]]:
            recorded = Recorded()
            # One rank alone hears the signal.
            recorded.train(settings, stop if rank == world - 1 else -1)
            return [index for _, index in recorded.ids]

        ranks = together(world, out.with_name(f"{out.name}{number}"), life)
        ids += [[one for part in parts for one in part] for parts in zip(*ranks, strict=True)]
    return {"ids": ids, "losses": [line["L_idt"] for line in read_log(out / "log.jsonl")]}


def worlds(folder: Path, data: str) -> dict[str, Any]:
    """18 steps on one rank, and on 1, 2, 4, 2, 1 ranks in turn."""
    # Small steps: large ones double the rounding of the step before instead of passing it on.
    one, many = (plan(folder / name, data, 3, rate=1e-4) for name in ("one", "many"))
    turns = [(1, 3), (2, 3), (4, 3), (2, 3), (1, -1)]
    return {"one": lived(one, [(1, -1)]), "many": lived(many, turns)}


def moved(
    folder: Path, data: str, stored: str, rate: float, runs: dict[str, Lives]
) -> dict[str, list[float]]:
    """Losses of 6 steps with two classes in five drawn at each, over the lives of each of ``runs``."""
    found = {}
    for name, lives in runs.items():
        settings = plan(folder / name, data, 1, rate)
        objective = replace(settings.objective, sample_classes=0.4, prototypes=stored)
        found[name] = lived(replace(settings, objective=objective), lives)["losses"]
    return found


def said(work: Callable[[], object]) -> list[Any]:
    """What ``work`` raised, and after how many seconds."""
    started = time.monotonic()
    try:
        work()
    except (UserError, OSError) as error:
        return [type(error).__name__, str(error), time.monotonic() - started]
    return ["nothing", "", time.monotonic() - started]


def faults(folder: Path, data: str) -> list[dict[str, Any]]:
    """What each of two ranks said of a bad image, of a bad loss, and of a full disk, all on rank 1."""

    def work(rank: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        count, bad = 0, -1

        def poisoned(stage, batch, images):  # type: ignore[no-untyped-def]
            nonlocal count, bad
            count += 1
            if count == 4 and rank == 1:
                bad = int(batch.index[2])
                images = images.float()
                images[2, 0, 0, 0] = float("nan")
            return images

        with watched(poisoned):
            found["image"] = said(lambda: train(plan(folder / "image", data, 3), progress=False))
        found["culprit"] = bad

        plain, calls = step_module.objective, [0]

        def objective(*given, **more):  # type: ignore[no-untyped-def]
            terms = plain(*given, **more)
            calls[0] += 1
            if calls[0] == 4 and rank == 1:  # a loss of this rank alone, whose gradient is finite
                return Terms(terms.total + float("inf"), {**terms.named, "L_reg": terms.total})
            return terms

        step_module.objective = objective  # type: ignore[assignment]
        found["loss"] = said(lambda: train(plan(folder / "loss", data, 3), progress=False))
        step_module.objective = plain

        write, writes = os.write, [0]

        def full(descriptor: int, data: Any) -> int:
            place = os.readlink(f"/proc/self/fd/{descriptor}")
            if "rank_00001" in place and "step_00000010" in place:
                writes[0] += 1
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(descriptor, data)

        os.write = full  # type: ignore[assignment]
        assert atomic.os is os
        found["disk"] = said(lambda: train(plan(folder / "disk", data, 3), progress=False))
        os.write = write
        kept = checkpoint.load_latest(folder / "disk" / "checkpoints")
        found["kept"] = -1 if kept is None else kept.step
        found["left"] = len(list((folder / "disk" / "checkpoints").glob(".*")))
        return found

    return together(2, folder / "ranks", work)


def kills(folder: Path, data: str, count: int) -> dict[str, Any]:
    """Tensors that differ from an undisturbed run after so many kills, and the most steps lost to one."""
    epochs = max(4, count)
    calm, wild = (plan(folder / name, data, epochs) for name in ("calm", "wild"))

    def life(settings: TrainSettings) -> Work:
        def work(rank: int) -> None:
            recorded = Recorded()
            begun = Path(settings.run.out).with_suffix(".steps")

            def note(stage, batch, images):  # type: ignore[no-untyped-def]
                if rank == 0:
                    with open(begun, "a") as file:
                        file.write(f"{stage} {batch.index.tolist()}\n")
                return recorded(stage, batch, images)

            with watched(note):
                train(settings, progress=False)

        return work

    together(2, folder / "calm_ranks", life(calm))
    order = (folder / "calm.steps").read_text().splitlines()
    draw, lost = random.Random(6), []
    steps = folder / "wild.steps"
    done = 0
    for number in range(count):
        before = len(steps.read_text().splitlines()) if steps.exists() else 0
        children = start(2, folder / "wild_ranks", life(wild))
        target, wait = draw.choice(children), draw.randrange(1, 9)
        while not steps.exists() or len(steps.read_text().splitlines()) < before + wait:
            time.sleep(0.005)
        os.kill(target, draw.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT]))
        other = children[1 - children.index(target)]
        os.waitpid(target, 0)
        code = os.waitstatus_to_exitcode(os.waitpid(other, 0)[1])
        assert code != 0, "a rank went on alone"
        lives = steps.read_text().splitlines()[before:]
        first = next(n for n in range(len(order)) if order[n : n + len(lives)] == lives)
        lost.append(max(0, done - first))
        done = first + len(lives)
        assert number < count
    together(2, folder / "wild_ranks", life(wild))
    return {
        "differing": differing(everything(folder / "calm"), everything(folder / "wild")),
        "most_lost": max(lost),
        "kills": len(lost),
    }


def calm(folder: Path, data: str) -> None:
    """Two ranks, undisturbed, in folder/run."""
    settings = plan(folder / "run", data, CALM)
    together(2, folder / "ranks", lambda _: str(train(settings, progress=False)))


def after_stage_one(folder: Path, data: str) -> dict[str, Any]:
    """Digests of the network that each of two ranks takes into stage two, and without the exchange."""
    settings = plan(folder / "run", data, 1)
    settings = replace(settings, uncertainty=replace(settings.uncertainty, steps=2))
    train_stage = train_module.train_uncertainty

    def digests(rank: int) -> list[str]:
        found = []

        def noted(plan: TrainSettings, model: Any, *rest: Any) -> float:
            found.append(tensors_digest(model.state_dict()))
            return train_stage(plan, model, *rest)

        train_module.train_uncertainty = noted  # type: ignore[assignment]
        train(settings, progress=False)
        return found

    told = {"exchanged": together(2, folder / "a", digests)}
    settings = replace(settings, run=replace(settings.run, out=str(folder / "other")))
    distributed.same_buffers = lambda module: None  # type: ignore[assignment]
    return told | {"alone": together(2, folder / "b", digests)}
