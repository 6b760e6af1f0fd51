"""Claims about requests that are wrong (G34): no crash, no 5xx, JSON of one line, no track of Python."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from small_model import one_thread  # noqa: F401
from urface.web.app import create_app
from urface.web.service import Service

from .mutations import Wanted, mutated, starts
from .stand_ins import service


async def call(app: Any, wanted: Wanted) -> tuple[int, bytes]:
    """Status and body of a request handed to the application as a server would hand it."""
    body = wanted.whole()
    given = {name for name, _ in wanted.headers}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in wanted.headers]
    headers += [] if "host" in given else [(b"host", b"127.0.0.1:8000")]
    # A server refuses a length that is not the body's before the application sees it.
    headers = [field for field in headers if field[0] != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    query = urlencode(wanted.query, errors="surrogatepass", encoding="utf-8")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
        "method": wanted.method, "path": wanted.path, "root_path": "", "headers": headers,
        "raw_path": quote(wanted.path, errors="surrogatepass").encode(), "state": {},
        "query_string": query.encode(), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], text


def complaint(status: int, text: bytes) -> str:
    """What is wrong with an answer; empty where nothing is."""
    if status >= 500:
        return f"{status}: {text[:200]!r}"
    if b"Traceback" in text or b".py" in text:
        return f"a track: {text[:200]!r}"
    if status >= 400:
        told = json.loads(text)
        if set(told) != {"error"} or set(told["error"]) != {"code", "message"}:
            return f"not our error: {text[:200]!r}"
        if "\n" in told["error"]["message"] or len(told["error"]["message"]) > 300:
            return f"not one line: {text[:200]!r}"
    return ""


def try_many(built: Service, count: int, seed: int) -> Counter[int]:
    """How often each status came of ``count`` mutated requests, all of which were answered well."""
    assert built.ids is not None
    known = starts(built.ids.id_of("Ada"))
    rng = random.Random(seed)
    seen: Counter[int] = Counter()

    async def all_of_them() -> None:
        app = create_app(built)
        for number in range(count):
            wanted = mutated(rng, known)
            status, text = await call(app, wanted)
            wrong = complaint(status, text)
            assert not wrong, (seed, number, wrong, wanted)
            seen[status] += 1

    asyncio.run(all_of_them())
    return seen


def quiet(built: Service) -> Service:
    logging.getLogger("urface.web").setLevel(logging.ERROR)
    return built


def test_two_thousand_mutated_requests_are_answered_with_less_than_500(tmp_path: Path):
    seen = try_many(quiet(service(folder=tmp_path, raw=True)), 2_000, 34)
    # The mutations reach everywhere: what is right, what is refused, and why.
    assert {200, 400, 403, 404, 405, 415, 421, 422} <= set(seen), seen
    assert seen[200] > 100


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_mutated_requests(seed: int, tmp_path: Path):
    try_many(quiet(service(folder=tmp_path, raw=True)), 10_000, 1000 + seed)


def test_the_harness_sees_a_service_that_fails(tmp_path: Path):
    """The control: an engine that lets an error of its own through on damaged images."""
    built = quiet(service(folder=tmp_path, raw=True))

    def naive(photos: Any) -> Any:
        raise ValueError(f"cannot read {photos}")

    built.engine.faces = naive  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="500"):
        try_many(built, 500, 34)


def test_right_requests_are_answered_before_they_are_mutated(tmp_path: Path):
    built = service(folder=tmp_path, raw=True)
    assert built.ids is not None

    async def all_of_them() -> list[Any]:
        app = create_app(built)
        found = starts(built.ids.id_of("Ada"))  # type: ignore[union-attr]
        found.sort(key=lambda wanted: wanted.path != "/v1/people")
        answers = [await call(app, wanted) for wanted in found]
        return [(status, "" if status == 200 else text) for status, text in answers]

    statuses = asyncio.run(all_of_them())
    refused = [answer for answer in statuses if answer[0] != 200]
    # the removal of somebody who is not there
    assert [status for status, _ in refused] == [404], refused
