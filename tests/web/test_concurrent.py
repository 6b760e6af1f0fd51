"""Claims about many clients at once (G33): what was acknowledged is so, in an order that explains it all."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

from small_model import one_thread  # noqa: F401
from urface.web.service import Service

from .linear import Operation, linearizable
from .stand_ins import CONSENT, client, images, service

PEOPLE = ("Ada", "Grace")


async def use(http: Any, ids: Any, person: str, rng: random.Random) -> tuple[str, int]:
    """One operation by a client: its kind, and the status."""
    identifier = ids.id_of(person)
    chosen = rng.random()
    if chosen < 0.35:
        form = {"data": {"name": person, **CONSENT}, "files": images(rng.randrange(9))}
        answer = await http.post("/v1/people?aligned=true", **form)
        return "enrol", answer.status_code
    if chosen < 0.6:
        answer = await http.delete(f"/v1/people/{identifier}")
        return ("remove" if answer.status_code == 200 else "gone"), answer.status_code
    if chosen < 0.8:
        answer = await http.get(f"/v1/people/{identifier}/template")
        return ("seen" if answer.status_code == 200 else "unseen"), answer.status_code
    files = images(rng.randrange(9), name="image")
    answer = await http.post("/v1/search?aligned=true&k=9", files=files)
    found = {match["person"] for match in answer.json().get("matches", [])}
    return ("seen" if person in found else "unseen"), answer.status_code


def histories(built: Service, clients: int, each: int, seed: int) -> dict[str, list[Operation]]:
    """What ``clients`` saw of each person; every status was 200 or 404."""
    found: dict[str, list[Operation]] = {person: [] for person in PEOPLE}

    async def one(http: Any, number: int) -> None:
        rng = random.Random(seed * 1000 + number)
        for _ in range(each):
            person = rng.choice(PEOPLE)
            asked = time.monotonic()
            kind, status = await use(http, built.ids, person, rng)
            assert status in (200, 404), (kind, status)
            found[person].append(Operation(kind, asked, time.monotonic()))

    async def all_of_them() -> None:
        async with client(built) as http:
            await asyncio.gather(*(one(http, number) for number in range(clients)))

    asyncio.run(all_of_them())
    return found


def test_histories_of_eight_clients_have_an_order(tmp_path: Path):
    built = service(folder=tmp_path, workers=4)
    for person, history in histories(built, 8, 12, seed=1).items():
        assert {"enrol", "seen"} <= {operation.kind for operation in history}, person
        assert linearizable(history), history


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_histories_of_32_clients_have_an_order(seed: int, tmp_path: Path):
    built = service(folder=tmp_path, workers=4)
    for history in histories(built, 32, 30, seed).values():
        assert linearizable(history)


def test_a_gallery_that_answers_from_yesterday_is_found_out(tmp_path: Path):
    """The control: templates are remembered, as a cache without an owner would. On a busy machine two clients
    may not meet once, so up to three histories are looked at."""

    def whole(seed: int) -> bool:
        built = service(folder=tmp_path / str(seed), workers=4)
        assert built.gallery is not None
        real, kept = built.gallery.template, {}

        def stale(person: str) -> Any:
            if person not in kept:
                kept[person] = real(person)
            return kept[person]

        built.gallery.template = stale  # type: ignore[method-assign]
        return all(linearizable(history) for history in histories(built, 2, 40, seed).values())

    assert not all(whole(seed) for seed in range(1, 4))


def test_the_checker_by_hand():
    def history(*operations: tuple[str, float, float]) -> list[Operation]:
        return [Operation(*operation) for operation in operations]

    assert linearizable(history(("enrol", 0, 1), ("seen", 2, 3), ("remove", 4, 5), ("gone", 6, 7)))
    assert linearizable(history(("enrol", 0, 5), ("seen", 1, 2), ("unseen", 0, 1)))
    assert not linearizable(history(("enrol", 0, 1), ("unseen", 2, 3)))  # acknowledged, lost
    assert not linearizable(history(("enrol", 0, 1), ("remove", 2, 3), ("seen", 4, 5)))  # came back
    assert not linearizable(history(("enrol", 0, 1), ("remove", 2, 6), ("remove", 3, 5)))  # twice
    assert not linearizable(history(("seen", 0, 1)))
