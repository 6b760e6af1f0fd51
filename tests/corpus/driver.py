"""A run that is killed where a test says: python driver.py WRITER ENGINE MODEL FACES OUT [VICTIM:KEY ...].

WRITER  ours, or naive: rows appended to one file as they come, and a list of parts that are done
ENGINE  local or ray, whose cluster is two workers here
VICTIM  worker or driver: who is killed with SIGKILL when the image KEY is read for the first time
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from urface.commands.embed import find_faces
from urface.corpus import job, on_ray, part
from urface.corpus.job import Engine, embed_corpus, on_this_machine
from urface.corpus.part import Done
from urface.corpus.plan import Part, Plan, Recipe
from urface.corpus.store import Store
from urface.data.source import narrow, narrowed
from urface.embedder import load

PART, BATCH = 3, 2
ROWS, DONE = "rows.jsonl", "done.txt"


class Deadly:
    """Reads as another reader; a key of ``victims`` kills that process, once in all runs."""

    def __init__(
        self, read: Callable[[int], bytes], keys: list[str], victims: dict[str, int], marks: Path
    ) -> None:
        self.read, self.keys, self.victims, self.marks = read, keys, victims, marks

    def __call__(self, index: int) -> bytes:
        key = self.keys[index]
        if key in self.victims:
            try:
                (self.marks / f"killed_at_{key}").touch(exist_ok=False)
                os.kill(self.victims[key] or os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        return self.read(index)

    def narrowed(self, indices: np.ndarray) -> Deadly:
        keys = [self.keys[index] for index in indices]
        return Deadly(narrowed(self.read, indices), keys, self.victims, self.marks)


def append(given: Part, embedder: Any, out: Path) -> Done:
    """The rows of a part, each at the end of the one file as soon as it is known."""
    for prefix, source in given.pieces:
        for place in range(len(source)):
            one = Part(given.number, [(prefix, narrow(source, range(place, place + 1)))])
            rows = part.embed_part(one, embedder, BATCH)
            with open(out / ROWS, "a") as file:
                file.write(json.dumps(rows.keys[0]) + "\n")
    return Done(given.number, "", sum(len(source) for _, source in given.pieces), {})


class NaiveMaker(on_ray.PartMaker):
    """The same actor with the naive writer."""

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        task = self._ray.get(self._tasks[int(row["part"])])
        done = append(task, self._embedder, Path(self._store.url))
        return {"done": json.dumps(done._asdict())}


def naive(plan: Plan, store: Store, engine: Engine) -> None:
    out = Path(store.url)
    out.mkdir(exist_ok=True)
    ready = set((out / DONE).read_text().split()) if (out / DONE).exists() else set()
    missing = [number for number in range(len(plan)) if str(number) not in ready]
    for done in engine(plan, store, missing):
        with open(out / DONE, "a") as file:
            file.write(f"{done.number}\n")


def main(writer: str, engine: str, model: str, faces: str, out: str, *kills: str) -> None:
    torch.set_num_threads(1)
    told = dict(reversed(kill.split(":")) for kill in kills)
    victims = {key: os.getpid() if who == "driver" else 0 for key, who in told.items()}
    ((prefix, source),) = find_faces([faces])
    deadly = narrow(source, range(len(source)))
    marks = Path(out).parent
    object.__setattr__(deadly, "read_bytes", Deadly(deadly.read_bytes, deadly.keys, victims, marks))
    digest = "the model of this test"
    plan, store = Plan([(prefix, deadly)], Recipe(digest, PART, BATCH)), Store(out)
    if writer == "naive":
        on_ray.PartMaker = NaiveMaker  # type: ignore[misc]
        job.write_part = lambda given, plan, recipe, embedder, store: append(  # type: ignore[assignment]
            given, embedder, Path(store.url)
        )
    if engine == "ray":
        run = on_ray.on_ray(Path(model), workers=2)
    else:
        run = on_this_machine(load(model))
    if writer == "naive":
        naive(plan, store, run)
    else:
        embed_corpus(plan, store, run, 0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
