"""Several threads at once: every answer is one that some order of the calls explains."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gallery.made import KEY, Clock, consent, faces_of, new_gallery
from urface.gallery import Gallery
from urface.types import UserError


@dataclass(frozen=True)
class Call:
    """One call on one person: when it began and ended, what it did, what it answered."""

    began: float
    ended: float
    act: str
    answer: bool


def after(call: Call, there: bool) -> bool | None:
    """Whether the person is there after ``call``; None where its answer cannot come from ``there``."""
    if call.act == "enrol":  # answers whether the person is new
        return True if call.answer != there else None
    if call.act == "remove":  # whether there was anybody to remove
        return False if call.answer == there else None
    return there if call.answer == there else None  # a search: whether the person was found


def linearizable(calls: list[Call], there: bool = False) -> bool:
    """Whether some order that keeps to real time explains all answers (Wing and Gong 1993)."""
    seen: set[tuple[frozenset[int], bool]] = set()

    def explain(left: frozenset[int], there: bool) -> bool:
        if not left:
            return True
        if (left, there) in seen:
            return False
        seen.add((left, there))
        first_end = min(calls[i].ended for i in left)
        for i in left:
            if calls[i].began <= first_end:
                state = after(calls[i], there)
                if state is not None and explain(left - {i}, state):
                    return True
        return False

    return explain(frozenset(range(len(calls))), there)


def run(galleries: list[Gallery], people: int, calls_each: int) -> list[list[Call]]:
    histories: list[list[Call]] = [[] for _ in range(people)]
    start = threading.Barrier(len(galleries))

    def client(number: int) -> None:
        gallery, draw = galleries[number], np.random.default_rng(number)
        start.wait()
        for step in range(calls_each):
            person = int(draw.integers(people))
            act = ("enrol", "remove", "search")[int(draw.integers(3))]
            began = time.perf_counter()
            answer = perform(gallery, act, person, step * 100 + number)
            ended = time.perf_counter()
            histories[person].append(Call(began, ended, act, answer))

    with ThreadPoolExecutor(len(galleries)) as pool:
        list(pool.map(client, range(len(galleries))))
    return histories


def perform(gallery: Gallery, act: str, person: int, seed: int) -> bool:
    name = f"p{person}"
    if act == "enrol":
        done = gallery.enrol(name, faces_of(person, seed=seed), consent())
        return done.images == 1
    if act == "search":
        found = gallery.search(faces_of(person, seed=1), 10)[0]
        assert len({match.person for match in found}) == len(found)
        return name in {match.person for match in found}
    try:
        gallery.remove(name)
        return True
    except UserError:
        return False


def test_threads_of_one_gallery_are_linearizable(tmp_path):
    gallery = new_gallery(tmp_path / "g")
    histories = run([gallery] * 4, people=4, calls_each=15)
    assert all(linearizable(calls) for calls in histories)
    assert gallery.check() == []


def test_two_connections_are_linearizable(tmp_path):
    first = new_gallery(tmp_path / "g")
    second = Gallery.open(tmp_path / "g", KEY, clock=Clock())
    histories = run([first, second, first, second], people=3, calls_each=10)
    assert all(linearizable(calls) for calls in histories)
    assert first.check() == []


def test_the_checker_refuses_what_no_order_explains():
    """The control: a removed person found again, a person lost after its enrolment was answered."""
    enrol, remove = Call(0, 1, "enrol", True), Call(2, 3, "remove", True)
    assert linearizable([enrol, remove, Call(4, 5, "search", False)])
    assert not linearizable([enrol, remove, Call(4, 5, "search", True)])
    assert not linearizable([enrol, Call(2, 3, "search", False)])
    assert linearizable([enrol, Call(0.5, 3, "search", False)])  # they overlap
    assert not linearizable([enrol, Call(2, 3, "enrol", True)])
