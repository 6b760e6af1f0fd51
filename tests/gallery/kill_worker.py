"""Processes that enrol and remove until they are killed, and say on stdout what they tried and did.

python kill_worker.py reads lines "STORE FOLDER SEED" (STORE is gallery or naive) and forks a worker for each:
imports are paid for once. It says "pid N" first and "end STATUS" after its death. Without torch.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import sys
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gallery.made import KEY, consent, faces_of
from urface.gallery import Gallery
from urface.types import UserError

NAMES = 12


class Enrols(Protocol):
    def enrol(self, name: str, image: int) -> None: ...

    def remove(self, name: str) -> None: ...


class Real:
    """The gallery."""

    def __init__(self, folder: Path) -> None:
        self.gallery = Gallery.open(folder, KEY)

    def enrol(self, name: str, image: int) -> None:
        from datetime import UTC, datetime

        given = consent(300, datetime.now(UTC))
        self.gallery.enrol(name, faces_of(int(name[1:]), seed=image), given)

    def remove(self, name: str) -> None:
        with contextlib.suppress(UserError):  # nobody of that name
            self.gallery.remove(name)


class Naive:
    """A JSON file, written anew at every change."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "people.json"

    def read(self) -> dict[str, list[int]]:
        people: dict[str, list[int]] = json.loads(self.path.read_text())["people"]
        return people

    def write(self, people: dict[str, list[int]]) -> None:
        with open(self.path, "w") as file:
            json.dump({"people": people, "embeddings": [0.123456789] * 20_000}, file)

    def enrol(self, name: str, image: int) -> None:
        people = self.read()
        people.setdefault(name, []).append(image)
        self.write(people)

    def remove(self, name: str) -> None:
        people = self.read()
        people.pop(name, None)
        self.write(people)


STORES = {"gallery": Real, "naive": Naive}


def work(store: Enrols, seed: int) -> None:
    draw = random.Random(seed)
    for image in itertools.count(seed * 100_000):
        name = f"p{draw.randrange(NAMES)}"
        act = "remove" if draw.random() < 0.35 else "enrol"
        say(f"try {act} {name} {image}")
        if act == "enrol":
            store.enrol(name, image)
        else:
            store.remove(name)
        say(f"did {act} {name} {image}")


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def nurse() -> None:
    """Fork a worker for every line of stdin and tell of its life."""
    for line in sys.stdin:
        kind, folder, seed = line.split()
        child = os.fork()
        if child == 0:
            work(STORES[kind](Path(folder)), int(seed))
        say(f"pid {child}")
        say(f"end {os.waitpid(child, 0)[1]}")


if __name__ == "__main__":
    nurse()
