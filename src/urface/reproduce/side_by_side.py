"""Trainings of a grid in processes of their own, several at a time.

A small network does not fill two cores with one step: two trainings with a thread each are done sooner
than one after the other with two. Each is the training that it would be alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from tqdm import tqdm

from urface.config import TrainSettings
from urface.training.signals import StopRequested, catch_termination
from urface.training.train import MODEL, train
from urface.types import UserError

MORE = 10.0  # seconds that all trainings have beyond the longest run.stop_seconds
LOOK_EVERY = 0.5  # seconds between two looks for a signal
Job = tuple[TrainSettings, Path | None]


def train_side_by_side(jobs: dict[str, Job], at_once: int, progress: bool) -> None:
    """Train every job, its settings and the finished embedding it builds on, ``at_once`` at a time.

    A job waits for the one whose embedding it takes. Each process has its share of the cores unless
    run.threads says otherwise. SIGTERM and Ctrl-C make all of them save a checkpoint, and end this
    process as they end one training. Raises UserError where a training fails; the others save and stop.
    """
    share = max(1, (os.cpu_count() or 1) // at_once)
    waiting = {name: _with_threads(job, share) for name, job in jobs.items() if not _done(job)}
    running: dict[str, BaseProcess] = {}
    context = multiprocessing.get_context("spawn")
    bar = tqdm(total=len(jobs), desc="trainings", unit="", disable=not progress)
    bar.update(len(jobs) - len(waiting))
    # Past what each training allows itself to save in, or this process would end before them.
    patience = max((job[0].run.stop_seconds for job in jobs.values()), default=0.0) + MORE
    with bar, catch_termination(patience) as termination:
        try:
            while waiting or running:
                for name in [name for name, job in waiting.items() if _ready(job)]:
                    if len(running) < at_once:
                        bar.set_postfix_str(", ".join([*running, name]))
                        running[name] = context.Process(target=_train, args=waiting.pop(name))
                        running[name].start()
                wait([process.sentinel for process in running.values()], LOOK_EVERY)
                if termination.requested:
                    raise StopRequested("stopped by a signal; run again to go on")
                for name in [name for name, process in running.items() if not process.is_alive()]:
                    ended = running.pop(name)
                    ended.join()
                    if ended.exitcode != 0:
                        raise UserError(
                            f"training {name} ended with {ended.exitcode}, see above; run again to go on"
                        )
                    bar.update()
        finally:
            for left in running.values():
                left.terminate()
            for left in running.values():
                left.join()


def _done(job: Job) -> bool:
    return (Path(job[0].run.out) / MODEL).is_file()


def _ready(job: Job) -> bool:
    return job[1] is None or job[1].is_file()


def _with_threads(job: Job, share: int) -> Job:
    settings, embedding = job
    threads = settings.run.threads or share
    return replace(settings, run=replace(settings.run, threads=threads)), embedding


def _train(settings: TrainSettings, embedding: Path | None) -> None:
    """One training in this process; what a user can put right is one line, as on the command line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and asks for the stop
    try:
        train(settings, None, False, embedding)
    except UserError as error:
        print(f"{Path(settings.run.out).name}: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
